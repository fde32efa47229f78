"""Every error that Gossamer raises on purpose.

::

    GossamerError
    ├── UsageError                exit 2   GOS-2xx  the command line or call is wrong
    ├── DataError                 exit 3   GOS-3xx  images, contours, models
    │   ├── UnreadableImageError
    │   ├── GeometryMismatchError
    │   ├── UnknownStructureError
    │   ├── EmptyMaskError
    │   ├── NoTrainingCaseError
    │   ├── TooManyBadCasesError
    │   ├── DatasetError
    │   ├── ModelFileError
    │   ├── UnlikeCtError
    │   └── SliceStackError
    ├── ConfigurationError        exit 4   GOS-4xx  study, federation and site files
    │   ├── UnknownKeyError
    │   ├── UnknownMetricError
    │   ├── PlanError
    │   ├── ScheduleError
    │   └── IdentityError
    ├── PeerError                 exit 5   GOS-5xx  what other sites send
    │   ├── WireError
    │   ├── ShareRefusedError
    │   ├── LedgerError
    │   ├── LineRefusedError
    │   ├── NoticeError
    │   ├── StrangerError
    │   ├── PeerNameError
    │   ├── PortClosedError
    │   ├── NoAnswerError
    │   ├── NotTlsError
    │   ├── InterceptedTlsError
    │   ├── OtherIdentityError
    │   ├── PeerCertificateError
    │   ├── NotAcceptedError
    │   ├── OtherFederationError
    │   ├── OtherProtocolError
    │   ├── RelayAwayError
    │   ├── RelayRefusedError
    │   ├── NobodyWaitsError
    │   └── RelayMeddledError
    └── ResourceError             exit 6   GOS-6xx  disk, memory, workers, the PACS
        ├── StorageError
        ├── DiskFullError
        ├── WorkerError
        ├── FolderBusyError
        ├── SharedMemoryError
        ├── GpuLostError
        ├── MemoryShortError
        ├── ListenError
        ├── ProxyError
        ├── StatusError
        └── PacsError
            ├── PacsAwayError
            ├── PacsRefusedError
            ├── NotStoredError
            ├── NotFetchedError
            ├── PacsNotTlsError
            └── PacsCertificateError

A message has four parts: what was wanted, what was found, where, and what to do. It never carries a
patient's name, identifier or a path that holds one. Each code has a page in ``docs/reference/errors``.
"""

from __future__ import annotations

from typing import ClassVar


class GossamerError(Exception):
    """Base of all errors raised on purpose."""

    code: ClassVar[str] = "GOS-100"
    exit_status: ClassVar[int] = 1


class UsageError(GossamerError):
    """The command line or a call asks for something impossible."""

    code = "GOS-200"
    exit_status = 2


class DataError(GossamerError):
    """Images, contours, data sets or models are not what they should be."""

    code = "GOS-300"
    exit_status = 3


class UnreadableImageError(DataError):
    """A file is not an image that can be read, or is damaged."""

    code = "GOS-301"


class GeometryMismatchError(DataError):
    """An image and a mask do not lie on the same grid."""

    code = "GOS-302"


class UnknownStructureError(DataError):
    """A structure's name is not in the label space."""

    code = "GOS-303"


class EmptyMaskError(DataError):
    """A structure is declared as drawn, but its mask holds no voxel."""

    code = "GOS-304"


class NoTrainingCaseError(DataError):
    """A site has no case to train on."""

    code = "GOS-305"


class TooManyBadCasesError(DataError):
    """More of a site's cases had to be set aside than is allowed."""

    code = "GOS-306"


class DatasetError(DataError):
    """A dataset folder or an index of cases is incomplete or contradicts itself."""

    code = "GOS-307"


class ModelFileError(DataError):
    """A model file is damaged, of another format, or does not fit its plan."""

    code = "GOS-308"


class UnlikeCtError(DataError):
    """A CT is unlike those that the model learned from, so that nobody would want what was drawn on it."""

    code = "GOS-309"


class SliceStackError(GeometryMismatchError):
    """The slices of a CT series are not one whole stack."""

    code = "GOS-310"


class ConfigurationError(GossamerError):
    """A study, federation or site file is wrong."""

    code = "GOS-400"
    exit_status = 4


class UnknownKeyError(ConfigurationError):
    """A file holds a key that means nothing here."""

    code = "GOS-401"


class UnknownMetricError(ConfigurationError):
    """A metric is asked for that does not exist."""

    code = "GOS-402"


class PlanError(ConfigurationError):
    """No plan can be made, or a plan is not the one agreed on."""

    code = "GOS-403"


class ScheduleError(ConfigurationError):
    """A topology or algorithm cannot work with these sites or settings."""

    code = "GOS-404"


class IdentityError(ConfigurationError):
    """A site's key or certificate is missing, open to others, or not one that sites make."""

    code = "GOS-405"


class PeerError(GossamerError):
    """Another site, or the way to it, did something it must not."""

    code = "GOS-500"
    exit_status = 5


class WireError(PeerError):
    """Bytes from outside are not a valid message; the only error that decoding raises."""

    code = "GOS-501"


class ShareRefusedError(PeerError):
    """A well-formed share breaks a limit or the plan."""

    code = "GOS-502"


class LedgerError(PeerError):
    """A message contradicts what this site has on record: a replay, or a restored backup."""

    code = "GOS-503"


class LineRefusedError(PeerError):
    """Two sites do not speak with each other: other protocol, other federation file."""

    code = "GOS-504"


class NoticeError(PeerError):
    """What a site is said to have told everyone is not signed by it, or it has told two things."""

    code = "GOS-505"


class StrangerError(PeerError):
    """Somebody who cannot show that it is a member of the federation called, or answered."""

    code = "GOS-506"


class PeerNameError(PeerError):
    """The host name in a peer's address is not known on this machine."""

    code = "GOS-510"


class PortClosedError(PeerError):
    """A peer's machine is there, but nothing listens on its port, or a firewall says no."""

    code = "GOS-511"


class NoAnswerError(PeerError):
    """Nothing comes back from a peer's address: switched off, filtered, or hung."""

    code = "GOS-512"


class NotTlsError(PeerError):
    """What is at the other end does not speak TLS, or none as new as 1.3."""

    code = "GOS-513"


class InterceptedTlsError(PeerError):
    """TLS at a peer's address is somebody else's: an antivirus or a proxy opens it on the way."""

    code = "GOS-514"


class OtherIdentityError(PeerError):
    """A site answers at a peer's address, but another one than the roster has there."""

    code = "GOS-515"


class PeerCertificateError(PeerError):
    """A peer's certificate has expired, or is not valid yet."""

    code = "GOS-516"


class NotAcceptedError(PeerError):
    """A peer does not take this site for a member: its roster is another, or this site's certificate is not valid."""

    code = "GOS-517"


class OtherFederationError(LineRefusedError):
    """A peer has approved another federation file."""

    code = "GOS-518"


class OtherProtocolError(LineRefusedError):
    """Two sites have releases that share no protocol."""

    code = "GOS-519"


class RelayAwayError(PeerError):
    """The relay cannot be reached, or what answers at its address is none."""

    code = "GOS-520"


class RelayRefusedError(PeerError):
    """The relay does not let this site in: no admission, too many guests, or it knocks too often."""

    code = "GOS-521"


class NobodyWaitsError(PeerError):
    """The relay is well, and the peer is not there."""

    code = "GOS-522"


class RelayMeddledError(PeerError):
    """The relay joined this site with somebody else, or what came is not what the peer sent."""

    code = "GOS-523"


class ResourceError(GossamerError):
    """The machine lacks something: disk, memory, a live worker."""

    code = "GOS-600"
    exit_status = 6


class StorageError(ResourceError):
    """A file that Gossamer wrote is damaged, or cannot be written."""

    code = "GOS-601"


class DiskFullError(StorageError):
    """There is no room left on the disk."""

    code = "GOS-602"


class WorkerError(ResourceError):
    """A data worker died or hangs."""

    code = "GOS-603"


class FolderBusyError(ResourceError):
    """Another process is at work in a folder that only one may write in."""

    code = "GOS-604"


class SharedMemoryError(ResourceError):
    """``/dev/shm`` is small, as containers have it."""

    code = "GOS-605"


class GpuLostError(ResourceError):
    """The machine has a GPU that PyTorch cannot use."""

    code = "GOS-606"


class MemoryShortError(ResourceError):
    """There is less memory than a run needs."""

    code = "GOS-607"


class ListenError(ResourceError):
    """This site cannot listen where its peers are to reach it."""

    code = "GOS-608"


class ProxyError(ResourceError):
    """The environment sends lines through an HTTP proxy."""

    code = "GOS-609"


class StatusError(ResourceError):
    """A site is asked how it gets on, and nobody answers."""

    code = "GOS-610"


class PacsError(ResourceError):
    """The PACS did not do what it was asked for."""

    code = "GOS-620"


class PacsAwayError(PacsError):
    """The PACS cannot be reached, or stopped answering."""

    code = "GOS-621"


class PacsRefusedError(PacsError):
    """The PACS is there, and does not let this machine in."""

    code = "GOS-622"


class NotStoredError(PacsError):
    """The PACS did not take a file."""

    code = "GOS-623"


class NotFetchedError(PacsError):
    """The PACS gave less than it announced, or something else."""

    code = "GOS-624"


class PacsNotTlsError(PacsError):
    """The PACS does not speak TLS, or none as new as 1.2."""

    code = "GOS-625"


class PacsCertificateError(PacsError):
    """The PACS's certificate is not trusted here, or ours is not there."""

    code = "GOS-626"
