# Sourced by nginx's auto/make with $ngx_addon_dir = this folder: builds the
# kinds into an archive, with flags of their own.  What the environment holds
# in HELIX_KINDS_CFLAGS at configure time is added to them.

helix_objs=$NGX_OBJS/addon/kinds
helix_lib=$helix_objs/libhelix_kinds.a

helix_flags="-std=c11 -D_GNU_SOURCE -O3 -g -ffp-contract=off -fPIC"
helix_flags="$helix_flags -Wall -Wextra -Wshadow -Wconversion -Werror"
helix_flags="$helix_flags $HELIX_KINDS_CFLAGS"

helix_incs="-I $ngx_addon_dir -I $ngx_addon_dir/../base"

helix_deps=$NGX_MAKEFILE

for helix_file in $ngx_addon_dir/*.h $ngx_addon_dir/../base/*.h; do
    if [ -f $helix_file ]; then
        helix_deps="$helix_deps $helix_file"
    fi
done

mkdir -p $helix_objs
helix_all=

for helix_src in $ngx_addon_dir/helix_*.c; do
    helix_obj=$helix_objs/`basename $helix_src .c`.o
    helix_all="$helix_all $helix_obj"

    cat << END                                                >> $NGX_MAKEFILE

$helix_obj:	$helix_src $helix_deps
	\$(CC) -c $helix_flags $helix_incs -o $helix_obj $helix_src

END
done

# nothing of a source that is gone may stay in the archive
cat << END                                                    >> $NGX_MAKEFILE

$helix_lib:	$helix_all
	rm -f $helix_lib
	\$(AR) rcs $helix_lib $helix_all

END

# nginx writes the rule of a dynamic module only after this
case " $DYNAMIC_MODULES " in

    *" ngx_http_helix_module "*)
        helix_target=$NGX_OBJS/ngx_http_helix_module.so
    ;;

    *)
        helix_target=$NGX_OBJS/nginx
    ;;

esac

cat << END                                                    >> $NGX_MAKEFILE

$helix_target:	$helix_lib

END
