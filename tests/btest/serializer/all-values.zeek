# @TEST-DOC: For values of all types, the plugin's event serializer writes the bytes that Zeek's writes and reads the values that Zeek's reads; what it leaves to Zeek's is known; damaged bytes do no harm, and are read as Zeek reads them.
#
# @TEST-EXEC: ZEEKZMQ_CHECK_EVENTS=100 zeek -b %INPUT >out 2>err
# @TEST-EXEC: grep -E "^checked events|differs" err >checked
# @TEST-EXEC: btest-diff checked
# @TEST-EXEC: grep -c "^checked damaged events: read [1-9][0-9]*, left to Zeek [1-9][0-9]*, refused [1-9]" err
#
# And with network timestamps.
# @TEST-EXEC: ZEEKZMQ_CHECK_EVENTS=10 zeek -b %INPUT EventMetadata::add_network_timestamp=T >out2 2>err2
# @TEST-EXEC: grep -E "^checked events|differs" err2 >checked-timestamps
# @TEST-EXEC: btest-diff checked-timestamps

@load cluster-test

module Values;

type Color: enum { RED = 1, GREEN = 7 };

type Plain: record {
	b: bool;
	i: int;
	c: count;
	d: double;
	t: time;
	iv: interval;
	s: string;
	a: addr;
	n: subnet;
	p: port;
	e: Color;
};

type Rec: record {
	b: bool &optional;
	i: int &optional;
	c: count &optional;
	d: double &optional;
	t: time &optional;
	iv: interval &optional;
	s: string &optional;
	a: addr &optional;
	n: subnet &optional;
	p: port &optional;
	e: Color &optional;
	default_count: count &default=5;
	default_set: set[string] &default=set("x");
	vs: vector of string &optional;
	ts: table[string] of set[addr] &optional;
	any_field: any &optional;
};

type Deep: record {
	t: table[string, count] of vector of Rec;
	v: vector of table[addr] of Plain;
	s: set[Color, bool];
};

type Key: record {
	a: addr;
	s: string &optional;
};

type Chain: record {
	n: count;
};

redef record Chain += {
	rest: Chain &optional;
};

type Nothing: record { };

global e_bool: event(x: bool) &is_used;
global e_int: event(x: int) &is_used;
global e_count: event(x: count) &is_used;
global e_double: event(x: double) &is_used;
global e_string: event(x: string) &is_used;
global e_addr: event(x: addr) &is_used;
global e_subnet: event(x: subnet) &is_used;
global e_port: event(x: port) &is_used;
global e_time: event(x: time) &is_used;
global e_interval: event(x: interval) &is_used;
global e_enum: event(x: Color) &is_used;
global e_global_enum: event(x: transport_proto) &is_used;
global e_set_bool: event(x: set[bool]) &is_used;
global e_set_int: event(x: set[int]) &is_used;
global e_set_count: event(x: set[count]) &is_used;
global e_set_double: event(x: set[double]) &is_used;
global e_set_string: event(x: set[string]) &is_used;
global e_set_addr: event(x: set[addr]) &is_used;
global e_set_subnet: event(x: set[subnet]) &is_used;
global e_set_port: event(x: set[port]) &is_used;
global e_set_time: event(x: set[time]) &is_used;
global e_set_interval: event(x: set[interval]) &is_used;
global e_set_enum: event(x: set[Color]) &is_used;
global e_set_many: event(x: set[addr, port, string]) &is_used;
global e_set_record: event(x: set[Key]) &is_used;
global e_set_records: event(x: set[Key, count]) &is_used;
global e_table: event(x: table[string] of count) &is_used;
global e_table_many: event(x: table[count, string] of Rec) &is_used;
global e_table_table: event(x: table[count] of table[count] of set[count]) &is_used;
global e_table_subnet: event(x: table[subnet] of string) &is_used;
global e_vector: event(x: vector of count) &is_used;
global e_vector_string: event(x: vector of string) &is_used;
global e_vector_vector: event(x: vector of vector of double) &is_used;
global e_vector_enum: event(x: vector of Color) &is_used;
global e_vector_any: event(x: vector of any) &is_used;
global e_plain: event(x: Plain) &is_used;
global e_rec: event(x: Rec) &is_used;
global e_deep: event(x: Deep) &is_used;
global e_chain: event(x: Chain) &is_used;
global e_nothing: event(x: Nothing, v: vector of Nothing) &is_used;
global e_none: event() &is_used;
global e_many: event(a: count, b: string, c: addr, d: port, e: interval) &is_used;
global e_any: event(x: any) &is_used;
global e_pattern: event(x: pattern) &is_used;
global e_opaque: event(x: opaque of md5) &is_used;
global e_func: event(x: function(n: count): count) &is_used;
global e_file: event(x: file) &is_used;
global e_set_pattern: event(x: set[pattern]) &is_used;

function f(n: count): count { return n; }

function plain(): Plain
	{
	return Plain($b=T, $i=-7, $c=12345678901, $d=-0.1, $t=double_to_time(1700000000.25), $iv=-1.5msec, $s="\x00\xff\xc3\xa9",
	             $a=[2001:db8::1], $n=10.0.0.0/8, $p=8/icmp, $e=GREEN);
	}

function full(): Rec
	{
	return Rec($b=F, $i=-7, $c=5, $d=1e300, $t=double_to_time(0.0), $iv=2days, $s="", $a=10.0.0.1, $n=[2001:db8::]/32,
	           $p=0/unknown, $e=RED, $default_count=6, $default_set=set(), $vs=vector("b", "a"),
	           $ts=table(["z"] = set(10.0.0.2, 9.0.0.1), ["a"] = set()));
	}

function chain(n: count): Chain
	{
	local c = Chain($n=0);

	while ( n > 0 )
		{
		c = Chain($n=n, $rest=c);
		--n;
		}

	return c;
	}

# What the plugin's serializer is to handle itself, in both directions.
event own()
	{
	local topic = "values";
	local inf = 1e308 * 10.0;
	local nan = inf - inf;

	Cluster::publish(topic, e_none);
	Cluster::publish(topic, e_bool, T);
	Cluster::publish(topic, e_bool, F);

	for ( i in set(-9223372036854775807, -5, -1, 0, 1, 127, 128, 300, 9223372036854775807) )
		Cluster::publish(topic, e_int, i);

	for ( c in set(0, 1, 4095, 4096, 9223372036854775808, 18446744073709551615) )
		Cluster::publish(topic, e_count, c);

	for ( _, d in vector(0.0, -0.0, 1.0, -1.0, 0.1, 1e300, -1e-300, 1.7976931348623157e308, 2.2250738585072014e-308,
	                     2.2250738585072014e-308 / 2.0, 4.9406564584124654e-324, -4.9406564584124654e-324,
	                     2.2250738585072014e-308 / 3.0, 4503599627370497.5, 9007199254740993.0, inf, -inf, nan) )
		Cluster::publish(topic, e_double, d);

	for ( n in set(0, 1, 127, 128, 16383, 16384, 70000) )
		Cluster::publish(topic, e_string, Test::text(n + 1)[1:]);

	Cluster::publish(topic, e_string, "\x00 \xff \xc3\xa9 \"\\\x0a");

	for ( a in set(0.0.0.0, 10.1.2.3, 255.255.255.255, [::], [::1], [2001:db8::1], [::ffff:10.0.0.1]) )
		Cluster::publish(topic, e_addr, a);

	for ( s in set(0.0.0.0/0, 10.0.0.0/8, 10.1.2.3/32, [::]/0, [2001:db8::]/32, [2001:db8::1]/128) )
		Cluster::publish(topic, e_subnet, s);

	for ( p in set(443/tcp, 53/udp, 8/icmp, 0/unknown, 65535/tcp, 256/udp) )
		Cluster::publish(topic, e_port, p);

	for ( _, t in vector(0.0, 1700000000.25, 1700000000.123456789, -1.5, 4e9) )
		Cluster::publish(topic, e_time, double_to_time(t));

	for ( iv in set(0secs, -1usec, 500msec, 1.5days, 0.1usec, -100000days) )
		Cluster::publish(topic, e_interval, iv);

	Cluster::publish(topic, e_enum, GREEN);
	Cluster::publish(topic, e_global_enum, udp);

	Cluster::publish(topic, e_set_bool, set(T, F));
	Cluster::publish(topic, e_set_int, set(5, -5, 0, -9223372036854775807, 9223372036854775807));
	Cluster::publish(topic, e_set_count, set());
	Cluster::publish(topic, e_set_count, set(3, 300, 2, 18446744073709551615, 1, 9223372036854775808));
	Cluster::publish(topic, e_set_double, set(1.5, -2.5, 0.0, -1e300, 1e300, inf, -inf));
	Cluster::publish(topic, e_set_string, set("b", "a", "", "ab", "\xff", "\x00", "a\x00"));
	Cluster::publish(topic, e_set_addr, set(10.0.0.2, 10.0.0.1, 9.9.9.9, [::1], [2001:db8::1]));
	Cluster::publish(topic, e_set_subnet, set(10.0.0.0/8, 10.0.0.0/16, 9.0.0.0/8, [2001:db8::]/32));
	Cluster::publish(topic, e_set_port, set(53/udp, 53/tcp, 443/tcp, 8/icmp, 256/tcp));
	Cluster::publish(topic, e_set_time, set(double_to_time(2.0), double_to_time(-1.0), double_to_time(1.0)));
	# Zeek tells the last two apart, the format does not.
	Cluster::publish(topic, e_set_interval, set(2secs, -1secs, 1secs, 1secs + 0.0001usecs, 1secs + 0.0002usecs));
	Cluster::publish(topic, e_set_enum, set(GREEN, RED));
	Cluster::publish(topic, e_set_many, set([10.0.0.2, 1/tcp, "x"], [10.0.0.1, 2/tcp, "y"], [10.0.0.1, 1/udp, "z"], [10.0.0.1, 2/tcp, ""]));
	Cluster::publish(topic, e_set_record, set(Key($a=10.0.0.2), Key($a=10.0.0.1, $s="x"), Key($a=10.0.0.1)));
	Cluster::publish(topic, e_set_records, set([Key($a=10.0.0.2), 1], [Key($a=10.0.0.1, $s="x"), 2], [Key($a=10.0.0.1), 3]));

	local numbers: set[count];
	local squares: table[string] of count;
	local k = 0;
	while ( k < 1000 )
		{
		add numbers[k * 7919 % 1009];
		squares[cat(k)] = k * k;
		++k;
		}
	Cluster::publish(topic, e_set_count, numbers);
	Cluster::publish(topic, e_table, squares);

	Cluster::publish(topic, e_table, table());
	Cluster::publish(topic, e_table, table(["b"] = 2, ["a"] = 1, ["c"] = 0));
	Cluster::publish(topic, e_table_many, table([1, "k"] = Rec(), [0, "z"] = full(), [1, "a"] = Rec($s="s")));
	Cluster::publish(topic, e_table_table, table([2] = table([3] = set(3, 1, 2), [1] = set()), [1] = table()));
	Cluster::publish(topic, e_table_subnet, table([10.0.0.0/8] = "b", [9.0.0.0/8] = "a"));

	Cluster::publish(topic, e_vector, vector());
	Cluster::publish(topic, e_vector, vector(3, 1, 2));
	local longer: vector of count;
	longer[299] = 0;
	k = 0;
	while ( k < 300 )
		{
		longer[k] = k;
		++k;
		}
	Cluster::publish(topic, e_vector, longer);
	Cluster::publish(topic, e_vector_string, vector("a", "", "b"));
	Cluster::publish(topic, e_vector_vector, vector(vector(1.0, 2.0), vector(-0.5)));
	Cluster::publish(topic, e_vector_enum, vector(RED, GREEN));
	Cluster::publish(topic, e_vector_any, vector());

	Cluster::publish(topic, e_plain, plain());
	Cluster::publish(topic, e_rec, Rec());
	Cluster::publish(topic, e_rec, full());
	Cluster::publish(topic, e_deep, Deep($t=table(["b", 2] = vector(Rec(), full()), ["a", 9] = vector()),
	                                     $v=vector(table([10.0.0.2] = plain(), [10.0.0.1] = plain())), $s=set([GREEN, T], [RED, F], [GREEN, F])));
	Cluster::publish(topic, e_chain, chain(61));
	Cluster::publish(topic, e_nothing, Nothing(), vector(Nothing(), Nothing()));
	Cluster::publish(topic, e_many, 7, "worker-1", 192.0.2.1, 53/udp, 500msec);
	Cluster::publish(topic, Cluster::make_event(e_many, 7, "worker-1", 192.0.2.1, 53/udp, 500msec));
	}

# What is written, but left to Zeek when it is read: the type any.
event any_values()
	{
	local topic = "values";
	Cluster::publish(topic, e_any, 3);
	Cluster::publish(topic, e_any, "text");
	Cluster::publish(topic, e_any, plain());
	Cluster::publish(topic, e_any, vector(vector(1, 2)));
	Cluster::publish(topic, e_rec, Rec($any_field=set(2, 1)));
	local mixed: vector of any;
	mixed += 1;
	mixed += "two";
	Cluster::publish(topic, e_vector_any, mixed);
	}

# What is left to Zeek altogether.
event zeeks()
	{
	local topic = "values";
	local inf = 1e308 * 10.0;
	local h = md5_hash_init();
	md5_hash_update(h, "x");

	Cluster::publish(topic, e_pattern, /foo|b.r/i);
	Cluster::publish(topic, e_set_pattern, set(/b/, /a/));
	Cluster::publish(topic, e_opaque, h);
	Cluster::publish(topic, e_func, f);
	Cluster::publish(topic, e_func, function(n: count): count { return n + 1; });
	Cluster::publish(topic, e_file, open("file"));
	Cluster::publish(topic, e_set_double, set(1.0, inf - inf));
	Cluster::publish(topic, e_set_double, set(2.0, 1e-310, 1.0));
	Cluster::publish(topic, e_interval, 1e308 * 10.0 * 1secs);

	local holes: vector of count;
	holes[2] = 1;
	Cluster::publish(topic, e_vector, holes);
	}

event zeek_init()
	{
	event own();
	event any_values();
	event zeeks();
	schedule 10msecs { Test::finish() };
	}
