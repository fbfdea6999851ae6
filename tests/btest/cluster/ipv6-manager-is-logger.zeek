# @TEST-DOC: A manager with an IPv6 address that writes the logs itself gets them from its workers.
#
# @TEST-REQUIRES: can-bind-ipv6
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: MANAGER_LOG_PORT
#
# @TEST-EXEC: node TEST_IP=::1 manager %INPUT
# @TEST-EXEC: node TEST_IP=::1 worker-1 %INPUT
# @TEST-EXEC: wait-for rows 2
# @TEST-EXEC: touch all-written
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff worker-1/out
# @TEST-EXEC: zeek-cut node <manager/test.log | sort >rows.sorted
# @TEST-EXEC: btest-diff rows.sorted

@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
	};
}

redef Test::expected = set("manager", "worker-1") - set(Cluster::node);

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../all-written";
@endif

event zeek_init()
	{
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	print sub(Cluster::Backend::ZeroMQ::connect_xpub_endpoint, /[0-9]+$/, "<port>");

	for ( _, e in Cluster::Backend::ZeroMQ::connect_log_endpoints )
		print sub(e, /[0-9]+$/, "<port>");
	}

event Test::everyone_up()
	{
	Log::write(LOG, Info($node=Cluster::node));
	}
