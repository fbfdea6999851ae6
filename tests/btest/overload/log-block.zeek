# @TEST-DOC: With log_overload=OVERLOAD_BLOCK a burst beyond log_sndhwm waits for the logger to take it.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: node manager %INPUT
# @TEST-EXEC: node logger-1 %INPUT
# @TEST-EXEC: wait-for rows 100
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
# @TEST-EXEC: zeek-cut n <logger-1/test.log >rows
# @TEST-EXEC: seq 100 | diff - rows

@load log-burst

redef Cluster::Backend::ZeroMQ::log_sndhwm = 10;
redef Cluster::Backend::ZeroMQ::log_overload = Cluster::Backend::ZeroMQ::OVERLOAD_BLOCK;
redef Cluster::Backend::ZeroMQ::overload_block_limit = 60secs;

@if ( Cluster::node == "manager" )
redef Test::end_on_file = "../over";
@endif
