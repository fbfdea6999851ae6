# @TEST-DOC: zeek -NN tells that the plugin is there and what it does, and what it is when it is disabled.
#
# @TEST-EXEC: zeek -NN Zeek::ZeroMQ_Go | sed -E -e 's/version [0-9.]+/version <version>/' -e 's/\((active|inactive): .*\) \(/(\1 ...) (/' >listed
# @TEST-EXEC: ZEEKZMQ_DISABLE=1 zeek -NN Zeek::ZeroMQ_Go | sed -E -e 's/version [0-9.]+/version <version>/' -e 's/\((active|inactive): .*\) \(/(\1 ...) (/' >>listed
# @TEST-EXEC: grep '^Zeek::' listed >summary
# @TEST-EXEC: btest-diff summary
