# Zeek finds the package with and without "policy/" in front; this is the latter for
# a Zeek that does not bring a ZeroMQ backend of its own.
@load ../../../../policy/frameworks/cluster/backend/zeromq
