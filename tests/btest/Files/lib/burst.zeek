##! A worker that sends the manager many events at once, and a manager that says
##! how many came.

@load cluster-test
@load base/frameworks/telemetry

module Burst;

export {
	## How many events the worker sends.
	const total = 20000 &redef;

	## How long the manager is busy before it looks at the first event.
	const busy = 0secs &redef;

	## Raised on the manager: how many events came, how many the worker dropped,
	## and how many were dropped here.
	global result: event(came: count, xpub_drops: double, onloop_drops: double);

	global datum: event(n: count);
	global sent_all: event(xpub_drops: double);
}

global came = 0;

@if ( Cluster::node == "worker-1" )
redef Test::expected += { "manager" };

# When the drops have settled, and until it arrives: there may be no room for this
# event either.
event last_words(drops_before: double)
	{
	if ( zeek_is_terminating() )
		return;

	local drops = Test::counter("cluster_zeromq_xpub_drops_total");

	if ( drops == drops_before )
		Cluster::publish(Cluster::manager_topic, sent_all, drops);

	schedule 500msecs { last_words(drops) };
	}

event Test::everyone_up()
	{
	local n = 0;

	while ( n < total )
		Cluster::publish(Cluster::manager_topic, datum, ++n);

	schedule 500msecs { last_words(-1.0) };
	}
@else
redef Test::expected += { "worker-1" };

event Burst::datum(n: count)
	{
	if ( came == 0 )
		{
		local start = current_time();
		while ( current_time() - start < busy )
			;
		}

	++came;
	}

event Burst::sent_all(xpub_drops: double)
	{
	if ( ! Test::ending )
		event Burst::result(came, xpub_drops, Test::counter("cluster_zeromq_onloop_drops_total"));

	Test::end();
	}
@endif
