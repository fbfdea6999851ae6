# @TEST-DOC: With log_immediate=T a logger that is not there gets no share of the logs; with F, the default, its share waits for it.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
# @TEST-PORT: LOG_PORT_2
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 logger.zeek
# @TEST-EXEC: node worker-1 worker.zeek Cluster::Backend::ZeroMQ::log_immediate=T
# @TEST-EXEC: node worker-2 worker.zeek Cluster::Backend::ZeroMQ::log_immediate=F
# @TEST-EXEC: wait-for rows 150
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut node <logger-1/test.log | sort | uniq -c >shares
# @TEST-EXEC: btest-diff shares

# @TEST-START-FILE common.zeek
@load cluster-test

redef Log::write_buffer_size = 1;

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
redef Test::expected += { "logger-1", "worker-1", "worker-2" };
# @TEST-END-FILE

# @TEST-START-FILE logger.zeek
@load ./common
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

# Only logger-1 is ever started. Its handshake with the PUSH socket is over when
# the monitor says so (ZMQ_EVENT_HANDSHAKE_SUCCEEDED).
global started = F;

event Cluster::Backend::ZeroMQ::monitoring_event(number: count, value: count, address: string)
	{
	if ( started || number != 0x1000 || ! ends_with(address, fmt(":%d", port_to_count(to_port(getenv("LOG_PORT"))))) )
		return;

	started = T;
	local n = 0;

	while ( n < 100 )
		{
		Log::write(LogTest::LOG, LogTest::Info($node=Cluster::node));
		++n;
		}
	}
# @TEST-END-FILE
