"""How frames travel between sites.

gRPC speaks TLS 1.2 as readily as 1.3, and its Python interface has no option that says otherwise. What it has is the
list of cipher suites for TLS 1.2, from an environment variable that it reads as it is imported, once. That list is
narrowed here to a suite for RSA keys. All sites' keys are on P-256 (``identity``), so that no handshake of TLS 1.2
finds a suite, at either end; those of TLS 1.3 are not in that list.

Whoever imports gRPC before this package, in a program of one's own, sets the variable oneself.
"""

import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES256-GCM-SHA384"
