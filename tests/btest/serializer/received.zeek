# @TEST-DOC: Events that no Zeek sends, but others may: what Zeek's serializer takes is taken, and what it refuses is refused in its words; metadata counts as there. An event that no script declares is dropped and counted, and told of once.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node ZEEKZMQ_CHECK_EVENTS=0 manager received.zeek
# @TEST-EXEC: wait-for test -e manager/ready
# @TEST-EXEC: send-events $XSUB_PORT zeek.cluster.manager <events
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: grep -E '^error: |^checked' manager/.stderr | grep -v 'Failed to unserialize message' | sed 's#, line.* [0-9-]*\(.*\) failed#\1 failed#' | LC_ALL=C sort >told
# @TEST-EXEC: btest-diff told

# @TEST-START-FILE events
["show", ["plain"]]
["show", ["no metadata"], []]
["show", ["two known, one not"], [[4711, 7], [9999, ["x"]], [4712, e("Mark::A")]]]
["show", ["twice"], [[4711, 1], [4711, 2]]]
["show", ["wrong type"], [[4711, "x"], [4711, 3]]]
["show", ["network time"], [[1, t(1700000000.5)]]]
["show", [5]]
["show", ["a", "b"]]
["unknown_event", []]
["ZeroMQ::event_without_declaration", []]
["ZeroMQ::event_without_declaration", [1]]
["record_", [[1, "more fields", "than there are", [s(1)]]]]
["record_", [[1, None]]]
["record_", [[None, None]]]
["record_", [[1]]]
["record_", [[1, 2]]]
["sets", [s(3, 1, 2), s(["b", 2], ["a", 1])]]
["sets", [s([3], [1]), s()]]
["sets", [s(1, 1), s()]]
["sets", [s([1, 2]), s()]]
["sets", [s(), s(["a"])]]
["table_", [m("b", [2], "a", [])]]
["table_", [m("a", [1], "a", [2])]]
["table_", [m("a", 1)]]
["color", [e("Mark::B")]]
["color", [e("Mark::NONE")]]
["color", [e("Mark::B\0C")]]
["color", ["Mark::B"]]
["real", [raw("04fff0000000000000")]]
["real", [raw("047ff0000000000000")]]
["real", [raw("047ff8000000000000")]]
["real", [raw("04fff8000000000000")]]
["real", [raw("04ffffffffffffffff")]]
["real", [raw("040000000000000001")]]
["real", [raw("048008000000000000")]]
["subnet_", [raw("0700000000000000000000ffff0a0000ff68")]]
["subnet_", [raw("0720010db8000000000000000000000001" + "20")]]
["bool_", [raw("0107")]]
["nul", [raw("0500")]]
["failing", [[None]]]
["show", ["the end"]]
["finish", []]
# @TEST-END-FILE

@load cluster-test

module Mark;

export {
	type Mark: enum { A, B };
}

module GLOBAL;

redef enum EventMetadata::ID += { NUMBER = 4711, MARK = 4712 };

type R: record {
	n: count &optional;
	s: string &optional;
};

function fails(): count
	{
	local v: vector of count;
	return v[3];
	}

type Failing: record {
	n: count &default=fails();
};

event show(what: string)
	{
	print what, EventMetadata::current_all();
	}

event record_(x: R) { print x; }
event sets(a: set[count], b: set[string, count]) { print |a|, 3 in a, |b|, ["a", 1] in b; }
event table_(x: table[string] of vector of count) { print |x|, x["a"], x["b"]; }
event color(x: Mark::Mark) { print x; }
event real(x: double) { print fmt("%.17g", x); }
event subnet_(x: subnet) { print x; }
event failing(x: Failing) { print x; }
event bool_(x: bool) { print x; }
event nul(x: string) { print |x|; }
event finish() { terminate(); }

event zeek_init()
	{
	EventMetadata::register(NUMBER, count);
	EventMetadata::register(MARK, Mark::Mark);
	}

# Our own, come back by way of the broker.
event Cluster::Backend::ZeroMQ::subscription(topic: string)
	{
	if ( topic == Cluster::manager_topic )
		system("touch ready");
	}

event zeek_done()
	{
	for ( _, m in Telemetry::collect_metrics("zeek", "cluster_zeromq_drops_total") )
		print m$label_values, m$value;
	}
