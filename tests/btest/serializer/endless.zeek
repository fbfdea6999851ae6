# @TEST-DOC: A value that contains itself cannot be published, and does no harm.
#
# @TEST-EXEC: zeek -b %INPUT >out 2>err
# @TEST-EXEC: btest-diff out
# @TEST-EXEC: grep -c "ZeroMQ: cannot publish event show: a value in it contains itself, or is nested too deep" err

@load cluster-test

type Chain: record { n: count; };
redef record Chain += { rest: Chain &optional; };

global show: event(c: Chain) &is_used;

event zeek_init()
	{
	local c = Chain($n=0);
	print Cluster::publish("x", show, c);
	c$rest = c;
	print Cluster::publish("x", show, c);
	c$rest = Chain($n=1);
	print Cluster::publish("x", show, c);
	terminate();
	}
