# @TEST-DOC: Every node's log records are written by the logger, and by nobody else.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node logger-1 other.zeek
# @TEST-EXEC: node proxy-1 other.zeek
# @TEST-EXEC: node worker-1 other.zeek
# @TEST-EXEC: node worker-2 other.zeek
# @TEST-EXEC: wait-for rows 25
# @TEST-EXEC: touch all-written
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut node n a s v <logger-1/test.log | sort >rows.sorted
# @TEST-EXEC: btest-diff rows.sorted
# @TEST-EXEC: ls */test.log >writers
# @TEST-EXEC: btest-diff writers

# @TEST-START-FILE common.zeek
@load cluster-test

module LogTest;

export {
	redef enum Log::ID += { LOG };
	type Info: record {
		node: string &log;
		n: count &log;
		a: addr &log;
		s: set[port] &log;
		v: vector of string &log;
		unset: string &log &optional;
	};
}

redef Test::expected = set("manager", "logger-1", "proxy-1", "worker-1", "worker-2") - set(Cluster::node);

event zeek_init()
	{
	Log::create_stream(LogTest::LOG, Log::Stream($columns=Info, $path="test"));
	}

event Test::everyone_up()
	{
	for ( i in vector(1, 2, 3, 4, 5) )
		Log::write(LOG, Info($node=Cluster::node, $n=i, $a=[2001:db8::1], $s=set(53/udp), $v=vector("x", "y")));
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::end_on_file = "../all-written";
# @TEST-END-FILE

# @TEST-START-FILE other.zeek
@load ./common
# @TEST-END-FILE
