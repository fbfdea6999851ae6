# @TEST-DOC: A terminating node waits up to linger_ms for a logger to take its last logs: with 0 not at all, with a long time until one is there.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node -d patient worker-1 worker.zeek Cluster::Backend::ZeroMQ::linger_ms=60000
# @TEST-EXEC: node -d for-ever worker-2 worker.zeek Cluster::Backend::ZeroMQ::linger_ms=-1
# @TEST-EXEC: node -d hasty worker-10 worker.zeek Cluster::Backend::ZeroMQ::linger_ms=0
# @TEST-EXEC: wait-for test -s patient/out
# @TEST-EXEC: wait-for test -s for-ever/out
# @TEST-EXEC: wait-for -t 20 test -e hasty/rc
# @TEST-EXEC: test ! -e patient/rc
# @TEST-EXEC: test ! -e for-ever/rc
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 logger.zeek
# @TEST-EXEC: wait-for rows 2
# @TEST-EXEC: wait-for -t 20 test -e patient/rc -a -e for-ever/rc
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut node <logger-1/test.log | sort >rows
# @TEST-EXEC: btest-diff rows

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
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::end_on_file = "../over";
redef Test::expected += { "logger-1" };
# @TEST-END-FILE

# @TEST-START-FILE logger.zeek
@load ./common
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

event zeek_init() &priority=-20
	{
	Log::write(LogTest::LOG, LogTest::Info($node=Cluster::node));
	terminate();
	}

event zeek_done() &priority=-20
	{
	print "done";
	flush_all();
	}
# @TEST-END-FILE
