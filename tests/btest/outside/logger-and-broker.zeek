# @TEST-DOC: A cluster with zeek-zeromq's broker and logger writes the same logs as one with Zeek's own.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-COPY-FILE: ${SCRIPTS}/../../demo/zeek/ftp-data.zeek
# @TEST-REQUIRES: find-captures .
# @TEST-EXEC: compare-loggers tsv $(find-captures captures)
# @TEST-EXEC: compare-loggers json $(find-captures captures)

# @TEST-START-FILE node.zeek
@load base/init-default
@load cluster-test

# zeek-zeromq's broker, or the manager's.
redef Cluster::Backend::ZeroMQ::run_proxy_thread = getenv("OUTSIDE") == "" && Cluster::node == "manager";

redef LogAscii::use_json = getenv("FORMAT") == "json";
redef Cluster::Backend::ZeroMQ::linger_ms = 10000;

# A capture is read faster than its logs are written, and none may be dropped.
redef Cluster::Backend::ZeroMQ::log_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::log_rcvhwm = 0;

module Test;

export {
	global start: event();
}

@if ( Cluster::node == "manager" )

redef expected += { "worker-1", "worker-2" };

@if ( getenv("OUTSIDE") == "" )
redef expected += { "logger-1" };
@endif

event everyone_up()
	{
	Cluster::publish(Cluster::worker_topic, start);
	}

event everyone_gone()
	{
	end();
	}

# The logger ends after the workers, and after what they sent it.
event Cluster::node_down(name: string, id: string) &priority=-10
	{
	if ( "worker-1" !in up && "worker-2" !in up )
		schedule 2sec { everyone_gone() };
	}

@endif

@if ( Cluster::local_node_type() == Cluster::WORKER )

@load ./ftp-data

# Time jumps to that of the capture.
redef patience = 100000days;

event zeek_init()
	{
	suspend_processing();
	}

event start()
	{
	continue_processing();
	}

event Pcap::file_done(path: string)
	{
	terminate();
	}

@endif
# @TEST-END-FILE
