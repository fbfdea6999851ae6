# @TEST-DOC: Loggers derive their listen_log_endpoint from the layout, all others their connect_log_endpoints, before the backend connects.
#
# @TEST-EXEC: for n in manager logger-1 logger-2 proxy-1 worker-1; do CLUSTER_NODE=$n LOG_PORT=1111/tcp LOG_PORT_2=2222/tcp zeek -b %INPUT; done >loggers
# @TEST-EXEC: for n in manager worker-1; do CLUSTER_NODE=$n MANAGER_LOG_PORT=3333/tcp zeek -b %INPUT; done >manager-is-logger
# @TEST-EXEC: for n in manager worker-1; do CLUSTER_NODE=$n TEST_IP=2001:db8::1 MANAGER_LOG_PORT=3333/tcp zeek -b %INPUT; done >ipv6
# @TEST-EXEC: CLUSTER_NODE=worker-1 LOG_PORT=1111/tcp zeek -b %INPUT 'Cluster::Backend::ZeroMQ::connect_log_endpoints+=vector("tcp://192.0.2.7:7")' >added
# @TEST-EXEC: CLUSTER_NODE=worker-1 zeek -b %INPUT >no-logger 2>error
# @TEST-EXEC: grep -q "connect_log_endpoints is empty" error
# @TEST-EXEC: TEST_DIFF_CANONIFIER=cat btest-diff loggers
# @TEST-EXEC: TEST_DIFF_CANONIFIER=cat btest-diff manager-is-logger
# @TEST-EXEC: TEST_DIFF_CANONIFIER=cat btest-diff ipv6
# @TEST-EXEC: TEST_DIFF_CANONIFIER=cat btest-diff added

@load policy/frameworks/cluster/backend/zeromq

event zeek_init() &priority=11
	{
	print fmt("%s: listens on '%s', connects to %s, runs the broker: %s", Cluster::node,
	          Cluster::Backend::ZeroMQ::listen_log_endpoint,
	          sort(Cluster::Backend::ZeroMQ::connect_log_endpoints, strcmp), Cluster::Backend::ZeroMQ::run_proxy_thread);
	flush_all();
	exit(0);
	}
