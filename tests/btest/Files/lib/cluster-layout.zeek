# The layout of all tests. A logger is part of it if there is a port for it:
# LOG_PORT for logger-1, LOG_PORT_2 for logger-2, MANAGER_LOG_PORT if the manager
# writes the logs. All nodes have the address TEST_IP, 127.0.0.1 unless set.

const test_ip = getenv("TEST_IP") == "" ? 127.0.0.1 : to_addr(getenv("TEST_IP"));

function test_port(variable: string): port
	{
	return getenv(variable) == "" ? 0/unknown : to_port(getenv(variable));
	}

redef Cluster::manager_is_logger = getenv("MANAGER_LOG_PORT") != "";

redef Cluster::nodes += {
	["manager"] = Cluster::Node($node_type=Cluster::MANAGER, $ip=test_ip, $p=test_port("MANAGER_LOG_PORT")),
	["proxy-1"] = Cluster::Node($node_type=Cluster::PROXY, $ip=test_ip),
	["worker-1"] = Cluster::Node($node_type=Cluster::WORKER, $ip=test_ip),
	["worker-2"] = Cluster::Node($node_type=Cluster::WORKER, $ip=test_ip),
	["worker-10"] = Cluster::Node($node_type=Cluster::WORKER, $ip=test_ip),
};

@if ( getenv("LOG_PORT") != "" )
redef Cluster::nodes += {
	["logger-1"] = Cluster::Node($node_type=Cluster::LOGGER, $ip=test_ip, $p=test_port("LOG_PORT")),
};
@endif

@if ( getenv("LOG_PORT_2") != "" )
redef Cluster::nodes += {
	["logger-2"] = Cluster::Node($node_type=Cluster::LOGGER, $ip=test_ip, $p=test_port("LOG_PORT_2")),
};
@endif
