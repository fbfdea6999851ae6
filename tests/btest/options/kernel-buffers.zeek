# @TEST-DOC: log_sndbuf, log_rcvbuf, xpub_sndbuf and xsub_rcvbuf set the kernel's buffers of the sockets they are named after.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 logger.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: wait-for rows 1
# The connections to the broker and the logger are up; they are looked at one by one.
# @TEST-EXEC: for c in "worker-1 remote $XSUB_PORT" "worker-1 remote $XPUB_PORT" "worker-1 remote $LOG_PORT" "logger-1 local $LOG_PORT"; do set -- $c; tcp-buffers $(cat $1/pid) $2 $3 | sort -u | sed "s/^/$1 /"; done >buffers
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: awk '/worker-1/ && ++n == 1 { print "xpub_sndbuf", $7 } /worker-1/ && n == 2 && ! done { print "xsub_rcvbuf", $4; done = 1 } /worker-1/ && n == 3 { print "log_sndbuf", $7 } /logger-1/ && ! l { print "log_rcvbuf", $4; l = 1 }' <buffers >sizes
# @TEST-EXEC: btest-diff sizes

# @TEST-START-FILE common.zeek
@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
	};
}

event zeek_init()
	{
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));

	local f = open("pid");
	print f, getpid();
	close(f);
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "logger-1", "worker-1" };
redef Test::end_on_file = "../over";
# @TEST-END-FILE

# @TEST-START-FILE logger.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::log_rcvbuf = 33000;
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::xpub_sndbuf = 30000;
redef Cluster::Backend::ZeroMQ::xsub_rcvbuf = 31000;
redef Cluster::Backend::ZeroMQ::log_sndbuf = 32000;

redef Test::expected += { "manager", "logger-1" };

event Test::everyone_up()
	{
	Log::write(LogTest::LOG, LogTest::Info($node=Cluster::node));
	}
# @TEST-END-FILE
