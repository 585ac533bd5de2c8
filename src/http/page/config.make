# Sourced by nginx's auto/make with $ngx_addon_dir = this folder: the files of
# the dashboard become constants in an archive, made anew when one changes.

helix_objs=$NGX_OBJS/addon/page
helix_lib=$helix_objs/libhelix_page.a
helix_src=$helix_objs/helix_page.c

helix_pages=

for helix_file in page.html app.js app.css icon.svg; do
    helix_pages="$helix_pages $ngx_addon_dir/$helix_file"
done

mkdir -p $helix_objs

cat << END                                                    >> $NGX_MAKEFILE

$helix_src:	$helix_pages $ngx_addon_dir/strip.sed \\
		$ngx_addon_dir/css.sed $ngx_addon_dir/js.sed $NGX_MAKEFILE
	for file in $helix_pages; do \\
		name=helix_page_\`basename \$\$file | sed 's/[.]/_/g'\`; \\
		echo "extern const unsigned char \$\$name[];"; \\
		echo "extern const unsigned long \$\${name}_size;"; \\
		echo "const unsigned char \$\$name[] = {"; \\
		sed -f $ngx_addon_dir/strip.sed \$\$file \\
			| case \$\$file in \\
				*.css) sed -f $ngx_addon_dir/css.sed ;; \\
				*.js) sed -f $ngx_addon_dir/js.sed ;; \\
				*) cat ;; \\
			  esac \\
			| od -An -v -tx1 \\
			| sed 's/  *\([0-9a-f][0-9a-f]\)/0x\1,/g'; \\
		echo "};"; \\
		echo "const unsigned long \$\${name}_size = sizeof(\$\$name);"; \\
	done > $helix_src.new && mv $helix_src.new $helix_src

$helix_objs/helix_page.o:	$helix_src
	\$(CC) -c -fPIC -o $helix_objs/helix_page.o $helix_src

$helix_lib:	$helix_objs/helix_page.o
	rm -f $helix_lib
	\$(AR) rcs $helix_lib $helix_objs/helix_page.o

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
