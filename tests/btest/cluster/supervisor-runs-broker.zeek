# @TEST-DOC: The supervisor itself runs the broker, without being a member of the cluster it starts.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: btest-bg-run supervisor "ZEEKPATH=..:$ZEEKPATH zeek -j %INPUT >out"
# @TEST-EXEC: wait-for rows 6 supervisor/logger-1/up.log
# @TEST-EXEC: kill $(cat supervisor/pid)
# @TEST-EXEC: btest-bg-wait 60
# @TEST-EXEC: zeek-cut seer seen <supervisor/logger-1/up.log | sort >up.sorted
# @TEST-EXEC: btest-diff up.sorted
# @TEST-EXEC: btest-diff supervisor/out

@if ( Supervisor::is_supervised() )
@load cluster-test
redef Cluster::Backend::ZeroMQ::run_proxy_thread = F;
@else
@load policy/frameworks/cluster/backend/zeromq/options
redef Cluster::Backend::ZeroMQ::listen_xpub_endpoint = fmt("tcp://127.0.0.1:%d", port_to_count(to_port(getenv("XPUB_PORT"))));
redef Cluster::Backend::ZeroMQ::listen_xsub_endpoint = fmt("tcp://127.0.0.1:%d", port_to_count(to_port(getenv("XSUB_PORT"))));
@endif

module UpLog;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		seer: string &log;
		seen: string &log;
	};
}

event zeek_init()
	{
	if ( Supervisor::is_supervised() )
		{
		Log::create_stream(UpLog::LOG, Log::Stream($columns=Info, $path="up"));
		return;
		}

	local f = open("pid");
	print f, getpid();
	close(f);

	print "broker started", Cluster::Backend::ZeroMQ::spawn_zmq_proxy_thread();

	local cluster: table[string] of Supervisor::ClusterEndpoint = {
		["manager"] = Supervisor::ClusterEndpoint($role=Supervisor::MANAGER, $host=127.0.0.1, $p=0/unknown),
		["logger-1"] = Supervisor::ClusterEndpoint($role=Supervisor::LOGGER, $host=127.0.0.1, $p=to_port(getenv("LOG_PORT"))),
		["worker-1"] = Supervisor::ClusterEndpoint($role=Supervisor::WORKER, $host=127.0.0.1, $p=0/unknown),
	};

	for ( name in cluster )
		Supervisor::create(Supervisor::NodeConfig($name=name, $bare_mode=T, $cluster=cluster, $directory=name,
		                                          $stdout_file="stdout", $stderr_file="stderr"));
	}

event Cluster::node_up(name: string, id: string)
	{
	Log::write(UpLog::LOG, UpLog::Info($seer=Cluster::node, $seen=name));
	}
