/*
 * Tokens (src/state/ngx_helix_tokens.c): the right to run on a pool thread.
 * A thread looks for a free one and takes it by compare-and-swap with the
 * number of its process's slot; whoever takes over a dead process's slot
 * frees its tokens before the slot can have a new owner.  The threads of a
 * killed process end one by one, after its first one: it is a zombie then.
 *
 * The limit has just been lowered: thread 2 still runs with a token above it,
 * which is why each counts all tokens once more when it has taken one.
 *
 * Never do more threads run than the limit says, never two with one token; in
 * the end none is missing.
 *
 * broken: FREE_AFTER ZOMBIE_IS_DEAD NO_SWAP NOT_FREED NO_COUNT
 */

#define TOKENS     2
#define LIMIT      1
#define SLOTS      2
#define THREADS    4
#define NOBODY     0

/* process 1 has the slot 0 and the threads 0 and 1, process 2 the slot 1 and
   the thread 2; 1 may be killed, and 3 and 4 both want its slot, the winner
   with a thread 3 of its own */

#define VICTIM     1
#define HEIR       3

byte owner[SLOTS];
byte token[TOKENS];              /* 0: free, else slot + 1 */

bool killed;                     /* the victim's first thread is gone */
bool stop[THREADS];
byte remain = 2;                 /* threads of the victim */
byte users[TOKENS];

#ifdef ZOMBIE_IS_DEAD
#define gone(p)  (p == VICTIM && killed)
#else
#define gone(p)  (p == VICTIM && killed && remain == 0)
#endif


proctype thread(byte self; byte slot)
{
    byte t, i, busy;
    bool taken, uses;

    atomic {
        if
        :: self == 2 -> t = 1; uses = true
        :: else
        fi
    };

    {
        do
        :: !uses ->
            t = 0;
            do
            :: t < LIMIT && token[t] == 0 ->
#ifdef NO_SWAP
                skip;
#endif
                atomic {
#ifdef NO_SWAP
                    taken = true;
#else
                    taken = (token[t] == 0);
#endif
                    if
                    :: taken -> token[t] = slot + 1
                    :: else
                    fi
                };
                if
                :: taken -> break
                :: else -> t++
                fi
            :: t < LIMIT && token[t] != 0 -> t++
            :: t == LIMIT -> break
            od;

            if
            :: t < LIMIT ->
                atomic { busy = 0; i = 0 };
#ifndef NO_COUNT
                do
                :: i < TOKENS -> busy = busy + (token[i] != 0); i++
                :: else -> break
                od;
#endif
                if
                :: busy <= LIMIT ->
                    atomic {
                        uses = true;
                        users[t]++;
                        assert(users[0] + users[1] <= LIMIT)
                    }
                :: else -> token[t] = 0
                fi
            :: else
            fi;
            d_step { taken = false; i = 0; busy = 0 }

        :: uses -> break
        od;

        /* the unit has run */

        atomic { users[t]--; uses = false };
        token[t] = 0
    } unless { stop[self] };

    atomic {
        if
        :: uses -> users[t]--
        :: else
        fi;
        if
        :: slot == 0 && self < 2 -> remain--
        :: else
        fi
    }
}


inline claim_dead(self)
{
    o = owner[0];
    if
    :: gone(o) ->
        atomic {
            taken = (owner[0] == o);
            if
            :: taken -> owner[0] = self
            :: else
            fi
        };
        if
        :: taken ->
#ifdef FREE_AFTER
            owner[0] = NOBODY;
#endif
#ifndef NOT_FREED
            t = 0;
            do
            :: t < TOKENS ->
                if
                :: token[t] == 1 -> token[t] = 0
                :: else
                fi;
                t++
            :: else -> break
            od;
#endif
#ifndef FREE_AFTER
            owner[0] = NOBODY
#endif
        :: else
        fi
    :: else
    fi
}


proctype heir(byte self)
{
    byte t, o;
    bool taken;

    claim_dead(self);

    atomic {
        taken = (owner[0] == NOBODY);
        if
        :: taken -> owner[0] = self
        :: else
        fi
    };
    if
    :: taken -> run thread(3, 0)
    :: else
    fi
}


proctype killer()
{
    if
    :: killed = true;
       stop[0] = true;
       stop[1] = true
    :: skip
    fi
}


init
{
    byte t, o;
    bool taken;

    atomic {
        owner[0] = VICTIM;
        owner[1] = 2;
        token[1] = 2;
        users[1] = 1;
        run thread(0, 0);
        run thread(1, 0);
        run thread(2, 1);
        run heir(3);
        run heir(4);
        run killer()
    };

    _nr_pr == 1;

    claim_dead(5);

    t = 0;
    do
    :: t < TOKENS -> assert(token[t] == 0 && users[t] == 0); t++
    :: else -> break
    od
}
