# @TEST-DOC: A small log_rcvhwm makes senders wait, but does not lose batches that fit into their log_sndhwm.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 logger.zeek
# @TEST-EXEC: wait-for rows 5000
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: ! grep -q HWM manager/.stderr

# @TEST-START-FILE common.zeek
@load cluster-test

redef Log::write_buffer_size = 1;

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		n: count &log;
	};
}

event zeek_init()
	{
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::log_sndhwm = 10000;
redef Test::expected += { "logger-1" };
redef Test::end_on_file = "../over";

event Test::everyone_up()
	{
	local n = 0;

	while ( n < 5000 )
		Log::write(LogTest::LOG, LogTest::Info($n=++n));
	}
# @TEST-END-FILE

# @TEST-START-FILE logger.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::log_rcvhwm = 1;
# @TEST-END-FILE
