# @TEST-DOC: With OVERLOAD_SPILL, what a worker wrote while there was no logger is on disk when the worker ends, and its next process sends it, in order and once, before its own logs.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node -d first worker-1 worker.zeek
# @TEST-EXEC: wait-for -t 30 test -e first/rc
# @TEST-EXEC: test -s spill/zeromq-worker-1.1.spill
# @TEST-EXEC: node -d second worker-1 worker.zeek
# @TEST-EXEC: wait-for -t 30 test -e second/rc
# @TEST-EXEC: node logger-1 logger.zeek
# @TEST-EXEC: node -d third worker-1 worker.zeek wait_for_end=T
# @TEST-EXEC: wait-for rows 1500
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut n <logger-1/test.log >rows
# @TEST-EXEC: seq 1 1500 >expected
# @TEST-EXEC: cmp rows expected
# @TEST-EXEC: grep -c "keeping them in ../spill" first/.stderr second/.stderr >told
# @TEST-EXEC: ls spill >>told
# @TEST-EXEC: btest-diff told
# @TEST-EXEC: btest-diff third/out

# @TEST-START-FILE common.zeek
@load cluster-test

# A batch for each row.
redef Log::write_buffer_size = 1;

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		n: count &log;
	};
}

event zeek_init() &priority=-1
	{
	Log::disable_stream(Cluster::LOG);
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "logger-1", "worker-1" };
redef Test::end_on_file = "../over";
# @TEST-END-FILE

# @TEST-START-FILE logger.zeek
@load ./common
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::log_overload = Cluster::Backend::ZeroMQ::OVERLOAD_SPILL;
redef Cluster::Backend::ZeroMQ::log_spill_dir = "../spill";
redef Cluster::Backend::ZeroMQ::log_immediate = T;

const wait_for_end = F &redef;

# 500 rows in each life: the file says how many there were before.
event zeek_init() &priority=-20
	{
	local n = file_size("../first/rc") < 0.0 ? 0 : file_size("../second/rc") < 0.0 ? 500 : 1000;
	local last = n + 500;

	while ( n < last )
		Log::write(LogTest::LOG, LogTest::Info($n=++n));

	if ( ! wait_for_end )
		terminate();
	}

event zeek_done()
	{
	print fmt("batches from disk: %s, dropped: %s", Test::counter("cluster_zeromq_log_batches_resent_total") >= 1000.0,
	    Test::counter("cluster_zeromq_log_drops_total"));
	}
# @TEST-END-FILE
