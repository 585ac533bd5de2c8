
/*
 * Put before src/state and src/exec of the target "life": what would not be
 * the same twice (time, threads, processes, memory) is taken from fuzz_life.c.
 */

#define clock_gettime           fuzz_clock_gettime
#define pthread_mutex_lock      fuzz_mutex_lock
#define pthread_mutex_unlock    fuzz_mutex_unlock
#define syscall                 fuzz_syscall
#define setpriority             fuzz_setpriority
#define ngx_thread_task_post    fuzz_thread_task_post
#define ngx_calloc              fuzz_calloc
#define ngx_memalign            fuzz_memalign
