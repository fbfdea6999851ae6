# @TEST-DOC: The metrics of the backend and the broker have their names, and count what passes.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

@load cluster-test

global ball: event(n: count);

@if ( Cluster::node == "manager" )
redef Test::expected += { "worker-1" };

function show(name: string, positive: bool)
	{
	local ms = Telemetry::collect_metrics("zeek", name);
	local sum = Test::counter(name);

	if ( |ms| == 0 )
		print name, "missing";
	else if ( positive )
		print name, sum > 0.0 ? "has counted" : "is still 0";
	else
		print name, sum;
	}

event ball(n: count)
	{
	if ( n < 100 )
		{
		Cluster::publish(Cluster::worker_topic, ball, n + 1);
		return;
		}

	for ( name in set("cluster_zeromq_xpub_drops_total", "cluster_zeromq_onloop_drops_total", "cluster_zeromq_msg_errors_total") &ordered )
		show(name, F);

	for ( side in set("frontend", "backend") &ordered )
		for ( what in set("messages_received", "bytes_received", "messages_sent", "bytes_sent") &ordered )
			show(fmt("cluster_zeromq_proxy_%s_%s_total", side, what), T);

	Test::end();
	}

event Test::everyone_up()
	{
	event ball(1);
	}
@else
event ball(n: count)
	{
	Cluster::publish(Cluster::manager_topic, ball, n + 1);
	}
@endif
