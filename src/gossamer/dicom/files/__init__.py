"""Files, elements and headers: what stands in a DICOM file, before it means anything."""
