/*
 * The slots of processes (src/state/ngx_helix_zone.c): claimed, released,
 * and taken over from the dead by whoever notices, possibly by several at
 * once, who may die of it themselves.  A process that is only stopped is one
 * that SPIN does not schedule: it must lose nothing.
 *
 * What is in flight is the difference of the owner's own counters; "lost" is
 * written by the one who took the slot over.  In the end every job is counted
 * exactly once and no slot belongs to a dead process.
 *
 * broken: STOPPED_IS_DEAD TWO_COUNTERS FOLD_FIRST FREE_FIRST
 */

#define SLOTS      2
#define PROCESSES  3
#define NOBODY     0             /* processes are 1 .. PROCESSES */

byte owner[SLOTS];
byte admitted[SLOTS];
byte ended[SLOTS];
byte lost[SLOTS];
byte in_flight;                  /* the second counter that must not be */

bool dead[PROCESSES + 1];
byte finished;
byte jobs;                       /* ever admitted, by nature not in memory */
byte answered;

#ifdef STOPPED_IS_DEAD
#define looks_dead(p)  (p != NOBODY && p != self)
#else
#define looks_dead(p)  (p != NOBODY && dead[p])
#endif


inline fold(s)
{
    n = admitted[s] - ended[s] - lost[s];
    lost[s] = lost[s] + n;
#ifdef TWO_COUNTERS
    in_flight = in_flight - n;
#endif
    assert(ended[s] + lost[s] <= admitted[s]);
}


/* Fewer states to tell apart. */

inline forget()
{
    d_step { i = 0; o = 0; n = 0; taken = false }
}


/* Takes a slot over from the dead process o; taken: it was we. */

inline reap(s)
{
#ifdef FOLD_FIRST
    fold(s);
#endif
    atomic {
        taken = (owner[s] == o);
        if
        :: taken -> owner[s] = self
        :: else
        fi
    }
    if
    :: taken ->
#ifdef FREE_FIRST
        owner[s] = NOBODY;
#endif
#ifndef FOLD_FIRST
        fold(s);
#endif
#ifndef FREE_FIRST
        owner[s] = NOBODY
#endif
    :: else
    fi
}


proctype process(byte self)
{
    byte i, o, n, mine;
    bool taken;

    mine = SLOTS;

    {
        /* ngx_helix_slot_claim(); NB: with all slots taken it has none */

        i = 0;
        do
        :: i < SLOTS && mine == SLOTS ->
            o = owner[i];
            if
            :: looks_dead(o) ->
                reap(i);
                if
                :: taken -> o = NOBODY
                :: else
                fi
            :: else
            fi;
            if
            :: o == NOBODY ->
                atomic {
                    if
                    :: owner[i] == NOBODY -> owner[i] = self; mine = i
                    :: else
                    fi
                }
            :: else
            fi;
            i++
        :: else -> break
        od;
        forget();

        /* a job, and a look around while it runs */

        if
        :: mine == SLOTS -> goto out
        :: else
        fi;

        atomic { admitted[mine] = admitted[mine] + 1; jobs++ };
#ifdef TWO_COUNTERS
        in_flight++;
#endif

        atomic { i = 1 - mine; o = owner[i] };
        if
        :: looks_dead(o) -> reap(i)
        :: else
        fi;
        forget();

        atomic { ended[mine] = ended[mine] + 1; answered++ };
#ifdef TWO_COUNTERS
        in_flight--;
#endif
        assert(ended[mine] + lost[mine] <= admitted[mine]);

        owner[mine] = NOBODY;
out:    skip
    } unless { dead[self] };

    atomic { forget(); finished++ }
}


/* 2 only dies after 1: the other order is the same with other names */

proctype killer()
{
    if
    :: dead[1] = true;
        if
        :: dead[2] = true
        :: skip
        fi
    :: skip
    fi
}


init
{
    byte i, o, n, self, sum, lost_sum;
    bool taken;

    atomic {
        i = 1;
        do
        :: i <= PROCESSES -> run process(i); i++
        :: else -> break
        od;
        run killer()
    }

    finished == PROCESSES && _nr_pr == 1;

    /* a last look around, by one that lives */

    self = PROCESSES + 1;
    i = 0;
    do
    :: i < SLOTS ->
        o = owner[i];
        if
        :: o != NOBODY -> assert(dead[o]); reap(i)
        :: else
        fi;
        assert(owner[i] == NOBODY);
        sum = sum + ended[i] + lost[i] - admitted[i];
        assert(sum == 0);
        lost_sum = lost_sum + lost[i];
        i++
    :: else -> break
    od;

    assert(answered + lost_sum == jobs);
    assert(in_flight == 0)
}
