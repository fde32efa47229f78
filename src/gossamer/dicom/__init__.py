"""DICOM in and out: CT series, structure sets, and what a hospital may keep of them. The only importer of pydicom."""
