# @TEST-DOC: A log receiver outside the layout gets the logs if its listen_log_endpoint is among the nodes' connect_log_endpoints.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node -d writer - writer.zeek
# @TEST-EXEC: wait-for test -S pull.sock
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: wait-for rows 3
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut n <writer/test.log >rows
# @TEST-EXEC: btest-diff rows
# @TEST-EXEC: test ! -e manager/test.log

# @TEST-START-FILE common.zeek
@load cluster-test

redef Test::end_on_file = "../over";

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

# @TEST-START-FILE writer.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::listen_log_endpoint = "ipc://../pull.sock";

# Outside a layout, nothing else says that this process writes logs itself.
redef Log::enable_local_logging = T;
redef Log::enable_remote_logging = F;
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Cluster::Backend::ZeroMQ::connect_log_endpoints = vector("ipc://../pull.sock");

event zeek_init() &priority=-20
	{
	for ( n in set(1, 2, 3) &ordered )
		Log::write(LogTest::LOG, LogTest::Info($n=n));
	}
# @TEST-END-FILE
