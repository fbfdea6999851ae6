# @TEST-DOC: With connect_xpub_nodrop=F events are lost at xpub_sndhwm in silence, where T counts them.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: ! grep -q "dropped" worker-1/.stderr

@load burst

redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;
redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 10;
redef Cluster::Backend::ZeroMQ::connect_xpub_nodrop = F;

event Burst::result(came: count, xpub_drops: double, onloop_drops: double)
	{
	print fmt("lost some: %s, counted: %s", came < Burst::total, xpub_drops);
	}
