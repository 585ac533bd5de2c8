/*
 * A job between the event loop and a pool thread (src/exec): it waits in a
 * unit in the run queue, a thread takes the unit under the mutex, runs it
 * step by step while it looks at the cancel flags, and gives it back by a
 * completion event.  Meanwhile clients leave and timeouts pass, and nginx
 * may be told to terminate: then the threads are joined and the rest ends.
 *
 * Each job ends exactly once, its owner is told at most once and never after
 * it left, nothing is freed that a thread has, and all is freed in the end;
 * each place to wait and the token are given back exactly once.
 *
 * broken: NO_MUTEX FREE_AT_ONCE TELL_TWICE TELL_THE_DEAD NO_JOIN
 */

#define JOBS  2                  /* in one unit */

mtype = { done, failed, again };

/* under the mutex */
bool mutex;
bool queued;                     /* the unit is in the run queue */
bool taken;

/* the unit: of who queued or took it */
bool in_unit[JOBS];
mtype result[JOBS];
bool unit_freed;

bool cancel[JOBS];
bool completion;                 /* posted to the event loop */
bool terminate;
bool thread_over;
bool token;

/* of the event loop */
bool owned[JOBS];                /* the owner has not left */
bool ending[JOBS];
bool gone[JOBS];                 /* the owner left, and is no more */
bool freed[JOBS];

/* what is to be proven */
byte ended[JOBS];
byte told[JOBS];
byte places = JOBS;


#ifdef NO_MUTEX
#define lock()    skip
#define unlock()  skip
#else
#define lock()    atomic { !mutex -> mutex = true }
#define unlock()  mutex = false
#endif


inline tell(j)
{
    told[j]++;
    assert(told[j] == 1 && !gone[j])
}


inline end_job(j)
{
    atomic {
        assert(!freed[j]);
        ending[j] = true;
        ended[j]++;
        assert(ended[j] == 1);
        if
        :: owned[j] -> tell(j); owned[j] = false
        :: else
        fi;
        freed[j] = true
    }
}


/* ngx_helix_job_detach() */

inline leave(j)
{
    atomic {
        gone[j] = true;
#ifndef TELL_THE_DEAD
        owned[j] = false
#endif
    }
}


/* ngx_helix_unit_remove(): removed says whether no thread has it */

inline remove(j)
{
    lock();
    removed = !taken;
    if
    :: removed -> queued = false
    :: else
    fi;
    unlock();
    if
    :: removed ->
        atomic {
            assert(in_unit[j] && !unit_freed);
            in_unit[j] = false;
            places--
        };
        if
        :: in_unit[1 - j] -> lock(); queued = true; unlock()
        :: else -> unit_freed = true
        fi
    :: else
    fi
}


/* ngx_helix_job_decide() */

inline decide(j)
{
    remove(j);
    if
    :: removed -> end_job(j)
    :: else ->
        assert(!freed[j]);
        ending[j] = true;
        cancel[j] = true;
        if
        :: owned[j] ->
            tell(j);
#ifndef TELL_TWICE
            owned[j] = false
#endif
        :: else
        fi;
#ifdef FREE_AT_ONCE
        end_job(j)
#endif
    fi
}


active proctype thread()
{
    byte j;
    bool have;

    do
    :: !have && !terminate ->
        lock();
        if
        :: queued && !terminate ->
            token = true;
            taken = true;
            queued = false;
            have = true;
            atomic {
                j = 0;
                do
                :: j < JOBS ->
                    if
                    :: in_unit[j] -> assert(places > 0); places--
                    :: else
                    fi;
                    j++
                :: else -> break
                od
            }
        :: else
        fi;
        unlock()
    :: else -> break
    od;

    /* a runner that found nothing posts its completion all the same */

    if
    :: have ->
        j = 0;
        do
        :: j < JOBS && in_unit[j] && result[j] == again && !terminate ->
            assert(!unit_freed && !freed[j]);
            if
            :: cancel[j] -> j++
            :: else ->
                if
                :: result[j] = done
                :: result[j] = failed
                :: skip
                fi
            fi
        :: j < JOBS && (!in_unit[j] || result[j] != again || terminate) -> j++
        :: j == JOBS -> break
        od;
        assert(!unit_freed);
        token = false
    :: else
    fi;

    completion = have;
    thread_over = true
}


active proctype loop()
{
    byte j;
    bool removed;

    atomic {
        j = 0;
        do
        :: j < JOBS ->
            in_unit[j] = true;
            owned[j] = true;
            result[j] = again;
            j++
        :: else -> break
        od
    };
    lock();
    queued = true;
    unlock();

    do
    /* the client leaves: its end is not told */
    :: owned[0] -> leave(0); decide(0)
    :: owned[1] -> leave(1); decide(1)

    /* the timeout passes */
    :: owned[0] -> decide(0)
    :: owned[1] -> decide(1)

    /* ngx_helix_unit_end() */
    :: completion ->
        completion = false;
        atomic {
            assert(!unit_freed);
            j = 0
        };
        do
        :: j < JOBS ->
            if
            :: in_unit[j] -> end_job(j)
            :: else
            fi;
            j++
        :: else -> break
        od;
        unit_freed = true

    :: terminate = true; break

    :: freed[0] && freed[1] -> terminate = true; break
    od;

    /* exit of the process: the threads first */

#ifndef NO_JOIN
    thread_over;
#endif

    j = 0;
    do
    :: j < JOBS ->
        if
        :: owned[j] -> owned[j] = false; gone[j] = true
        :: else
        fi;
        if
        :: !freed[j] ->
            atomic {
                assert(in_unit[j]);
                in_unit[j] = false;
                if
                :: !taken -> places--
                :: else
                fi;
                if
                :: !in_unit[0] && !in_unit[1] -> unit_freed = true
                :: else
                fi
            };
            end_job(j)
        :: else
        fi;
        j++
    :: else -> break
    od;

    thread_over;
    assert(freed[0] && freed[1] && unit_freed);
    assert(ended[0] == 1 && ended[1] == 1);
    assert(places == 0 && !token)
}
