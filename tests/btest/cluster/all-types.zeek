# @TEST-DOC: Values of every type that can be sent come out as they went in.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager manager.zeek
# @TEST-EXEC: node worker-1 worker.zeek
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: diff manager/out worker-1/out

# @TEST-START-FILE common.zeek
@load cluster-test

type Inner: record {
	a: addr;
	t: table[string, count] of vector of string;
	unset: string &optional;
	d: double &default=2.5;
};

type Outer: record {
	i: Inner;
	s: set[subnet];
	e: transport_proto;
};

global show: event(b: bool, i: int, c: count, d: double, s: string, t: time, iv: interval, p: port, a: addr, n: subnet, r: Outer, v: vector of count, any_value: any, re: pattern);

event show(b: bool, i: int, c: count, d: double, s: string, t: time, iv: interval, p: port, a: addr, n: subnet, r: Outer, v: vector of count, any_value: any, re: pattern)
	{
	print b, i, c, d, s, t, iv, p, a, n, r, v, re, "aby" == re;
	}
# @TEST-END-FILE

# @TEST-START-FILE manager.zeek
@load ./common

redef Test::expected += { "worker-1" };

event show(b: bool, i: int, c: count, d: double, s: string, t: time, iv: interval, p: port, a: addr, n: subnet, r: Outer, v: vector of count, any_value: any, re: pattern)
	{
	print any_value as string;

	if ( c == 1 )
		Test::end();
	}
# @TEST-END-FILE

# @TEST-START-FILE worker.zeek
@load ./common

redef Test::expected += { "manager" };

event show(b: bool, i: int, c: count, d: double, s: string, t: time, iv: interval, p: port, a: addr, n: subnet, r: Outer, v: vector of count, any_value: any, re: pattern)
	{
	print any_value as string;
	}

event Test::everyone_up()
	{
	local inner = Inner($a=192.0.2.1, $t=table(["x", 1] = vector("p", "")));
	local outer = Outer($i=inner, $s=set([2001:db8::]/32), $e=udp);

	for ( c in set(18446744073709551615, 1) &ordered )
		{
		local args = Cluster::make_event(show, c == 1, -5, c, -1.5e300, "bin\x00\xffary", double_to_time(1.5), 1.5msec, 53/udp,
		                                 [::1], 192.168.0.0/16, outer, vector(1, 2, c), "text", /a.y/);
		Cluster::publish(Cluster::nodeid_topic(Test::up["manager"]), args);
		event show(c == 1, -5, c, -1.5e300, "bin\x00\xffary", double_to_time(1.5), 1.5msec, 53/udp, [::1], 192.168.0.0/16,
		           outer, vector(1, 2, c), "text", /a.y/);
		}
	}
# @TEST-END-FILE
