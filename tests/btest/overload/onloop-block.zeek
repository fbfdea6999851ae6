# @TEST-DOC: With onloop_overload=OVERLOAD_BLOCK a busy node leaves events beyond onloop_queue_hwm with the broker until it has time, and drops none.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

@load burst

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 100;
redef Cluster::Backend::ZeroMQ::onloop_overload = Cluster::Backend::ZeroMQ::OVERLOAD_BLOCK;
redef Cluster::Backend::ZeroMQ::overload_block_limit = 30secs;
redef Burst::busy = 2secs;

event Burst::result(came: count, xpub_drops: double, onloop_drops: double)
	{
	print fmt("all came: %s, dropped: %s", came == Burst::total, onloop_drops);
	}
