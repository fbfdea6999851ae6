# @TEST-DOC: Without a logger to take them, log_sndhwm batches are kept until one appears; the others are lost, which is told.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: wait-for test -s manager/out
# @TEST-EXEC: wait-for grep -q "HWM" manager/.stderr
# @TEST-EXEC: node logger-1 logger.zeek
# @TEST-EXEC: wait-for rows 10
# @TEST-EXEC: touch drained
# @TEST-EXEC: wait-for rows 11
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut n <logger-1/test.log >rows
# @TEST-EXEC: btest-diff rows

# @TEST-START-FILE common.zeek
@load cluster-test

redef Log::write_buffer_size = 1;

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		n: string &log;
	};
}

event zeek_init() &priority=-1
	{
	# It would take its share of the room.
	Log::disable_stream(Cluster::LOG);
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::log_sndhwm = 10;
redef Test::expected += { "logger-1" };
redef Test::end_on_file = "../over";

event write_when_drained()
	{
	if ( file_size("../drained") >= 0.0 )
		Log::write(LogTest::LOG, LogTest::Info($n="late"));
	else if ( ! zeek_is_terminating() )
		schedule 50msecs { write_when_drained() };
	}

event zeek_init() &priority=-20
	{
	local n = 0;

	while ( n < 100 )
		Log::write(LogTest::LOG, LogTest::Info($n=fmt("early %d", ++n)));

	print "written";
	flush_all();
	}

event Test::everyone_up()
	{
	event write_when_drained();
	}
# @TEST-END-FILE

# @TEST-START-FILE logger.zeek
@load ./common
# @TEST-END-FILE
