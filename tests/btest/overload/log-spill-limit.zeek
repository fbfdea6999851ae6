# @TEST-DOC: No more than log_spill_max_bytes are kept on disk; what comes beyond is dropped, counted and told.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: wait-for grep -q "log_spill_max_bytes" manager/.stderr
# @TEST-EXEC: node logger-1 %INPUT
# @TEST-EXEC: wait-for rows 11
# @TEST-EXEC: wait-for test -s manager/out
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: test $(zeek-cut n <logger-1/test.log | wc -l) -lt 100
# @TEST-EXEC: btest-diff manager/out

@load log-burst

redef Cluster::Backend::ZeroMQ::log_sndhwm = 10;
redef Cluster::Backend::ZeroMQ::log_overload = Cluster::Backend::ZeroMQ::OVERLOAD_SPILL;
redef Cluster::Backend::ZeroMQ::log_spill_max_bytes = 3000;

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../over";

event Test::everyone_up()
	{
	print fmt("counted: %s", Test::counter("cluster_zeromq_log_drops_total") > 0.0);
	flush_all();
	}
@endif
