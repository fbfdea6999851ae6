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
#
# The kernel reports twice of what was asked for.
# @TEST-EXEC: tcp-options $(cat worker-1/pid) remote $XSUB_PORT | grep -q "send buffer 60000"
# @TEST-EXEC: tcp-options $(cat worker-1/pid) remote $XPUB_PORT | grep -q "receive buffer 62000"
# @TEST-EXEC: tcp-options $(cat worker-1/pid) remote $LOG_PORT | grep -q "send buffer 64000"
# @TEST-EXEC: tcp-options $(cat logger-1/pid) local $LOG_PORT | grep -q "receive buffer 66000"
#
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100

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
