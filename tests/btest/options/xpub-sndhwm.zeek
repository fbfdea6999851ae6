# @TEST-DOC: A burst of more events than xpub_sndhwm allows is cut, and the drops are counted and told; with 0 nothing is dropped.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node worker-1 %INPUT Cluster::Backend::ZeroMQ::xpub_sndhwm=10
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: grep -q "dropped.*xpub_sndhwm\|dropped a message due to hwm" worker-1/.stderr
# @TEST-EXEC: rm .bgprocs
# @TEST-EXEC: node -d manager-0 manager %INPUT
# @TEST-EXEC: node -d worker-0 worker-1 %INPUT Cluster::Backend::ZeroMQ::xpub_sndhwm=0
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager-0/out

@load burst

redef Cluster::Backend::ZeroMQ::onloop_queue_hwm = 0;

event Burst::result(came: count, xpub_drops: double, onloop_drops: double)
	{
	print fmt("all came or were counted: %s, dropped: %s", came + xpub_drops >= Burst::total, came < Burst::total);
	}
