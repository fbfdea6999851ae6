# @TEST-DOC: Without a logger in the layout the manager writes the logs of all nodes, its own included.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: MANAGER_LOG_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: node worker-2 %INPUT
# @TEST-EXEC: wait-for rows 3
# @TEST-EXEC: touch all-written
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut node <manager/test.log | sort >rows.sorted
# @TEST-EXEC: btest-diff rows.sorted
# @TEST-EXEC: ls */test.log >writers
# @TEST-EXEC: btest-diff writers

@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
	};
}

redef Test::expected = set("manager", "worker-1", "worker-2") - set(Cluster::node);

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../all-written";
@endif

event zeek_init()
	{
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	}

event Test::everyone_up()
	{
	Log::write(LOG, Info($node=Cluster::node));
	}
