# What stands around every payload of the federation, the same for all. Its variables are set above:
# rf_run (the run's directory), rf_token, rf_tasks (a file of array indices, or nothing), rf_name,
# rf_repeat (yes: a payload may begin again), rf_patience (seconds), rf_forward (the signal that the
# user wants sent to the batch shell alone, or nothing).
# It runs with what its user exported, POSIXLY_CORRECT too: in that mode a `:` that cannot write ends
# the shell, `true` does not.
# It starts no program before the payload when nothing is in the way: a short job must stay short.
cd -- "$rf_run" || { echo "resfed: the directory of $rf_token is not there: nothing began" >&2; exit 75; }
rf_place=${SLURM_ARRAY_TASK_ID:-}
rf_task=${rf_place:-batch}
if [ -n "$rf_tasks" ]; then # a piece of a longer array: Slurm counts from 0, the user does not
    mapfile -s "$rf_place" -n 1 -t rf_index < "$rf_tasks"
    rf_task=${rf_index[0]}
    exec >> "out.$rf_task" 2>> "err.$rf_task"
    read -r SLURM_ARRAY_TASK_COUNT SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX < array
    SLURM_ARRAY_TASK_ID=$rf_task
    export SLURM_ARRAY_TASK_ID SLURM_ARRAY_TASK_COUNT SLURM_ARRAY_TASK_MIN SLURM_ARRAY_TASK_MAX
fi
ring() { true >> "../../bell/$rf_token.$rf_task"; } 2> /dev/null # wakes the agent; no harm when it cannot
leave() { # CAUSE CODE STARTED ASKED-TO-END
    printf -v rf_ended '%(%s)T' -1
    printf '%s %s %s %s %s .\n' "$1" "$2" "$3" "$rf_ended" "$4" >| "exit.$rf_task"
    ring
}
unbegun() { # CAUSE SENTENCE
    true > "left.$rf_me"
    leave "$1" 0 - no
    echo "resfed: $2: the payload of $rf_token did not begin" >&2
    exit 75
}
printf -v rf_started '%(%s)T' -1
rf_me="$rf_task.${SLURM_JOB_ID:-0}-$$"

# First say that a wrapper is here, then look at what may keep it back: the agent writes first and
# looks after, so at least one of the two sees the other.
true > "here.$rf_me"
if [ -e cancel ] || [ -e "cancel.$rf_task" ]; then
    unbegun cancelled "cancelled or withdrawn"
fi
rf_word=
[ -e fence ] && read -r rf_word < fence
if [ -n "$rf_word" ]; then # the broker must have written down that it begins: ask, and wait
    [ "$rf_word" = go ] || { true > "asks.$rf_me"; ring; }
    rf_pause=0.1
    while [ "$rf_word" != go ]; do
        if [ "$rf_word" = end ] || [ -e cancel ] || [ -e "cancel.$rf_task" ]; then
            unbegun cancelled "cancelled or withdrawn"
        fi
        printf -v rf_now '%(%s)T' -1
        [ $((rf_now - rf_started)) -lt "$rf_patience" ] || unbegun unanswered "nobody at the federation answered"
        sleep "$rf_pause"
        [ $((rf_now - rf_started)) -lt 3 ] || rf_pause=1
        read -r rf_word < fence # opened anew each time: network file systems then look again
    done
else
    rf_until=0
    [ -e lease ] && read -r rf_until < lease
    if [ "$rf_started" -gt "${rf_until%%.*}" ]; then
        unbegun lease-expired "the lease of this run has expired"
    fi
fi
[ -d work ] || unbegun failed "its working directory is not there"

# The start-once mark: the file system lets one of all who try make it, on whatever node.
set -C
if ! { true > "begun.$rf_task"; } 2> /dev/null; then
    set +C
    if [ "$rf_repeat" != yes ]; then
        printf -v rf_now '%(%s)T' -1
        echo "${SLURM_JOB_ID:-} $rf_now" >> "again.$rf_task"
        true > "left.$rf_me"
        ring
        echo "resfed: the payload of $rf_token has begun before: it does not begin again" >&2
        exit 75
    fi
    rm -f "exit.$rf_task"
fi
set +C
printf -v rf_started '%(%s)T' -1
echo "$rf_started ${SLURM_JOB_ID:-0} ${SLURM_JOB_NODELIST:-?}" >> "begun.$rf_task"
ring

export SLURM_JOB_NAME=$rf_name
cd ./work || exit 75
if [ -n "$rf_forward" ]; then # its user wants a signal for the batch shell: the script must be that
    exec "$rf_run/script" "$@"
fi
rf_ended_by=no
trap 'rf_ended_by=yes' TERM # handled here, so that the end is written; the script has its own default
trap : INT HUP USR1 USR2
"$rf_run/script" "$@"
rf_code=$?
cd -- "$rf_run" || exit "$rf_code"
leave exit "$rf_code" "$rf_started" "$rf_ended_by"
exit "$rf_code"
