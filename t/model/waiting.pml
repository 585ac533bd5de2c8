/*
 * Places to wait (ngx_helix_wait_enter(), src/state/ngx_helix_tokens.c),
 * counted over the slots of all processes without a lock: each announces
 * itself in its own slot first and looks at the others second.  The look ends
 * at the first slot that nobody ever used, so that a slot must be marked as
 * used before it has an owner.
 *
 * No interleaving lets more than LIMIT in; what a dead process held is free
 * again.
 *
 * broken: LOOK_FIRST USED_LATE NOT_FREED
 */

#define SLOTS      3
#define PROCESSES  3
#define LIMIT      1
#define NOBODY     0

byte owner[SLOTS];
bool used[SLOTS];
byte waiting[SLOTS];

byte inside;
bool dead[PROCESSES + 1];


inline look()
{
    sum = 0;
    i = 0;
    do
    :: i < SLOTS && used[i] -> sum = sum + waiting[i]; i++
    :: else -> break
    od
}


proctype process(byte self)
{
    byte i, sum, mine;
    bool in;

    mine = SLOTS;

    {
        i = 0;
        do
        :: i < SLOTS && mine == SLOTS ->
            if
            :: owner[i] == NOBODY ->
#ifndef USED_LATE
                used[i] = true;
#endif
                atomic {
                    if
                    :: owner[i] == NOBODY -> owner[i] = self; mine = i
                    :: else
                    fi
                };
#ifdef USED_LATE
                if
                :: mine == i -> used[i] = true
                :: else
                fi
#endif
            :: else
            fi;
            i++
        :: else -> break
        od;

#ifdef LOOK_FIRST
        look();
        sum = sum + 1;
        waiting[mine] = waiting[mine] + 1;
#else
        waiting[mine] = waiting[mine] + 1;
        look();
#endif
        if
        :: sum > LIMIT -> waiting[mine] = waiting[mine] - 1
        :: else ->
            atomic { in = true; inside++; assert(inside <= LIMIT) };

            /* a pool thread takes the job */

            atomic {
                in = false;
                inside--;
                waiting[mine] = waiting[mine] - 1
            }
        fi
    } unless { dead[self] };

    atomic {
        if
        :: in -> inside--
        :: else
        fi
    }
}


proctype killer()
{
    if
    :: dead[1] = true
    :: skip
    fi
}


init
{
    byte i, sum;

    atomic {
        i = 1;
        do
        :: i <= PROCESSES -> run process(i); i++
        :: else -> break
        od;
        run killer()
    }

    _nr_pr == 1;

    /* the slot of the dead is folded */

    i = 0;
    do
    :: i < SLOTS ->
#ifndef NOT_FREED
        if
        :: owner[i] == 1 && dead[1] -> waiting[i] = 0
        :: else
        fi;
#endif
        i++
    :: else -> break
    od;

    look();
    assert(sum == 0)
}
