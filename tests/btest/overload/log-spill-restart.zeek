# @TEST-DOC: What a node had to keep on disk when it ended, its successor sends, before its own.
#
# @TEST-PORT: XPUB_PORT
# @TEST-PORT: XSUB_PORT
# @TEST-PORT: LOG_PORT
#
# @TEST-EXEC: touch over
# @TEST-EXEC: node -d first manager %INPUT
# @TEST-EXEC: wait-for test -e first/rc
# @TEST-EXEC: rm over
# @TEST-EXEC: node -d second LOGGER_COMES=1 manager %INPUT LogTest::first=101
# @TEST-EXEC: node logger-1 %INPUT
# @TEST-EXEC: wait-for rows 190
# @TEST-EXEC: touch over
# @TEST-EXEC: btest-bg-wait 100
#
# Those in libzmq's hands, log_sndhwm of them at most, may be lost with the process.
# @TEST-EXEC: zeek-cut n <logger-1/test.log >rows
# @TEST-EXEC: sort -n rows | diff - rows
# @TEST-EXEC: test $(awk '$1 <= 100' rows | wc -l) -ge 90
# @TEST-EXEC: test $(awk '$1 > 100' rows | wc -l) = 100

@load log-burst

redef Cluster::Backend::ZeroMQ::log_sndhwm = 10;
redef Cluster::Backend::ZeroMQ::linger_ms = 0;
redef Cluster::Backend::ZeroMQ::log_overload = Cluster::Backend::ZeroMQ::OVERLOAD_SPILL;
redef Cluster::Backend::ZeroMQ::log_spill_dir = "../spill";

@if ( Cluster::node == "manager" )
@if ( getenv("LOGGER_COMES") == "" )
redef Test::expected = {};
@endif
redef Test::end_on_file = "../over";
@endif
