# The demo's cluster: Zeek loads this file because of CLUSTER_NODE. An
# installation would have fixed ports here; the demo takes free ones.

redef Cluster::nodes = {
	["manager"] = Cluster::Node($node_type=Cluster::MANAGER, $ip=127.0.0.1),
	["logger-1"] = Cluster::Node($node_type=Cluster::LOGGER, $ip=127.0.0.1, $p=to_port(getenv("DEMO_LOGGER_1_PORT"))),
	["logger-2"] = Cluster::Node($node_type=Cluster::LOGGER, $ip=127.0.0.1, $p=to_port(getenv("DEMO_LOGGER_2_PORT"))),
	["proxy-1"] = Cluster::Node($node_type=Cluster::PROXY, $ip=127.0.0.1),
	["worker-1"] = Cluster::Node($node_type=Cluster::WORKER, $ip=127.0.0.1),
	["worker-2"] = Cluster::Node($node_type=Cluster::WORKER, $ip=127.0.0.1),
};

redef Cluster::manager_is_logger = F;
