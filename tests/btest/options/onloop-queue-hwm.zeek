# @TEST-DOC: A node whose main loop is busy drops, and counts, the events beyond onloop_queue_hwm; with 0 it keeps them all.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
#
# @TEST-EXEC: node manager %INPUT Cluster::Backend::ZeroMQ::onloop_queue_hwm=100
# @TEST-EXEC: node worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager/out
# @TEST-EXEC: grep -q "onloop" manager/.stderr
# @TEST-EXEC: rm .bgprocs
# @TEST-EXEC: node -d manager-0 manager %INPUT Cluster::Backend::ZeroMQ::onloop_queue_hwm=0
# @TEST-EXEC: node -d worker-0 worker-1 %INPUT
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: btest-diff manager-0/out

@load burst

redef Cluster::Backend::ZeroMQ::xpub_sndhwm = 0;
redef Cluster::Backend::ZeroMQ::xsub_rcvhwm = 0;
redef Burst::busy = 2secs;

event Burst::result(came: count, xpub_drops: double, onloop_drops: double)
	{
	print fmt("all came or were counted: %s, dropped: %s", came + onloop_drops >= Burst::total, came < Burst::total);
	}
