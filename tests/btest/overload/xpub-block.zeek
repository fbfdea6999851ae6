# @TEST-DOC: With xpub_overload=OVERLOAD_BLOCK a burst beyond xpub_sndhwm waits for room instead of being cut.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

@load burst

redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;
redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 10;
redef Cluster::Backend::ZeroMQ::xpub_overload = Cluster::Backend::ZeroMQ::OVERLOAD_BLOCK;
redef Cluster::Backend::ZeroMQ::overload_block_limit = 30secs;

event Burst::result(came: count, xpub_drops: double, onloop_drops: double)
	{
	print fmt("all came: %s, dropped: %s", came == Burst::total, xpub_drops);
	}
