# @TEST-DOC: Keys in the environment and in script options at once are a fatal error.
#
# @TEST-EXEC-FAIL: ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_CLIENT_PUBLICKEY=x timeout 60 zeek -b %INPUT 2>err
# @TEST-EXEC: btest-diff err

@load policy/frameworks/cluster/backend/zeromq

redef Cluster::Backend::ZeroMQ::curve_server_publickey = "y";
