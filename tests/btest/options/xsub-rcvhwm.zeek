# @TEST-DOC: A small xsub_rcvhwm slows a burst down, but does not lose any of it.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT Cluster::Backend::ZeroMQ::xsub_rcvhwm=1
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out

@load burst

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;

event Burst::result(came: count, xpub_drops: double, onloop_drops: double)
	{
	print fmt("%d came, %s dropped there, %s here", came, xpub_drops, onloop_drops);
	}
