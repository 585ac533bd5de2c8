/*
 * The control block (src/state/ngx_helix_control.c): two copies, the low bit
 * of the version says which holds, and one word of all writers, which is
 * taken over from the dead.  Writers may die anywhere; one that is only stopped
 * is one that SPIN does not schedule.
 *
 * What a copy says is the version that it was made for: a reader gets one that
 * is whole and of the version that it saw, and no change is lost.
 *
 * broken: STOPPED_IS_DEAD IN_PLACE VERSION_FIRST NO_SECOND_LOOK
 */

#define WRITERS  2
#define NOBODY   0               /* processes are 1 .. WRITERS */
#define FIRST    2

byte writer;
byte version = FIRST;
byte one[2] = FIRST;             /* two words of each copy */
byte two[2] = FIRST;

bool dead[WRITERS + 1];
byte published;
byte finished;

#ifdef STOPPED_IS_DEAD
#define looks_dead(p)  (p != self)
#else
#define looks_dead(p)  (dead[p])
#endif


inline publish()
{
    atomic { version = n + 1; published++ }
}


inline fill()
{
    one[to] = n + 1;
    two[to] = n + 1
}


proctype write(byte self)
{
    byte o, n, to;

    {
        /* ngx_helix_control_lock(): looks, then compares and swaps */

        do
        :: atomic { writer == NOBODY || looks_dead(writer) -> o = writer };
            atomic {
                if
                :: writer == o -> writer = self; break
                :: else
                fi
            }
        od;

        n = version;
        n = one[n & 1];
#ifdef IN_PLACE
        to = n & 1;
#else
        to = (n + 1) & 1;
#endif

#ifdef VERSION_FIRST
        publish();
        fill();
#else
        fill();
        publish();
#endif

        writer = NOBODY
    } unless { dead[self] };

    atomic { o = 0; n = 0; to = 0; finished++ }
}


/* ngx_helix_control_read() */

proctype read()
{
    byte seen, a, b;

    do
    :: seen = version;
        a = one[seen & 1];
        b = two[seen & 1];
        if
#ifdef NO_SECOND_LOOK
        :: seen == seen ->
#else
        :: version == seen ->
#endif
            assert(a == seen && b == seen);
            break
        :: else
        fi
    od;

    atomic { seen = 0; a = 0; b = 0; finished++ }
}


/* The other one is the same with another name. */

proctype killer()
{
    if
    :: dead[1] = true
    :: skip
    fi
}


init
{
    byte i;

    atomic {
        i = 1;
        do
        :: i <= WRITERS -> run write(i); i++
        :: else -> break
        od;
        run read();
        run killer()
    }

    finished == WRITERS + 1 && _nr_pr == 1;

    assert(writer == NOBODY || dead[writer]);
    assert(version == FIRST + published);
    assert(one[version & 1] == version && two[version & 1] == version);
    assert(published >= 1)
}
