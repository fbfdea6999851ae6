# @TEST-DOC: With two loggers each gets a share of every node's log records, none is lost, and none written twice.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
# @TEST-PORT: LOG_PORT_2
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 other.zeek
# @TEST-EXEC: node logger-2 other.zeek
# @TEST-EXEC: node worker-1 other.zeek
# @TEST-EXEC: wait-for rows 400
# @TEST-EXEC: touch all-written
# @TEST-EXEC: btest-bg-wait 100
#
# @TEST-EXEC: cat logger-*/test.log | zeek-cut node n | sort | uniq -d >twice
# @TEST-EXEC: test ! -s twice
# @TEST-EXEC: cat logger-*/test.log | zeek-cut node | sort | uniq -c >per-node
# @TEST-EXEC: btest-diff per-node
# @TEST-EXEC: for l in logger-1 logger-2; do zeek-cut node <$l/test.log | sort | uniq -c | awk -v l=$l '{ print l, $2, ($1 > 20 ? "more than a tenth" : $1) }'; done >shares
# @TEST-EXEC: btest-diff shares

# @TEST-START-FILE common.zeek
@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
		n: count &log;
	};
}

# Every record is a batch of its own.
redef Log::write_buffer_size = 1;

redef Test::expected = set("manager", "logger-1", "logger-2", "worker-1") - set(Cluster::node);

event zeek_init()
	{
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	}

event Test::everyone_up()
	{
	if ( Cluster::local_node_type() == Cluster::LOGGER )
		return;

	local n = 0;

	while ( n < 200 )
		Log::write(LOG, Info($node=Cluster::node, $n=++n));
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::end_on_file = "../all-written";
# @TEST-END-FILE

# @TEST-START-FILE other.zeek
@load ./common
# @TEST-END-FILE
