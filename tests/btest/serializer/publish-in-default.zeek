# @TEST-DOC: A record's &default that publishes an event, while the record is written to be published, disturbs neither of them; nor does one that fails.
#
# @TEST-EXEC: ZEEKZMQ_CHECK_EVENTS=0 zeek -b %INPUT >out 2>err
# @TEST-EXEC: grep -E "^checked|differs|no such index" err | sed 's/.*no such index.*/no such index/' >checked
# @TEST-EXEC: btest-diff checked
# @TEST-EXEC: btest-diff out

@load cluster-test

global inner: event(x: string) &is_used;

function publishing(): count
	{
	Cluster::publish("x", inner, "inner");
	return 5;
	}

global to_fail = F;

function failing(): count
	{
	local v = vector(1);
	return v[to_fail ? 3 : 0];
	}

type Outer: record {
	before: string;
	n: count &default=publishing();
	after: string;
};

type Bad: record {
	before: string;
	n: count &default=failing();
};

global outer: event(x: Outer) &is_used;
global bad: event(x: Bad) &is_used;

event publish_outer()
	{
	local x = Outer($before="b", $after="a");
	delete x$n;
	print Cluster::publish("x", outer, x);
	}

event publish_bad()
	{
	local x = Bad($before="b");
	delete x$n;
	to_fail = T;
	print "publishing one that fails";
	print Cluster::publish("x", bad, x);
	}

event zeek_init()
	{
	event publish_outer();
	event publish_bad();
	event publish_outer();
	schedule 10msecs { Test::finish() };
	}
