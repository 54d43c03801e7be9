# make            says what there is
# make demo       shows sysalert at work on a throw-away systemd; sets up what it needs
# make check      runs every test; sets up what it needs
# make bench      measures what all of it costs, beside what people use
# make fuzz       tries hostile input until it is stopped
# make package    builds the .deb and the .rpm
# make guest      a shell on a throw-away systemd with sysalert in it
# make install    installs (PREFIX=/usr, DESTDIR= for packages)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr
DESTDIR ?=
release := $(or $(CARGO_TARGET_DIR),target)/release
scripts := tests/system

# A folder of plugins/ with an example is a plugin; the others are what plugins share.
plugins := $(notdir $(patsubst %/example.toml,%,$(wildcard plugins/*/example.toml)))
# What is heavy and rare is loaded like them.
libraries := $(plugins) processes
# All of them are one file, and links to it.
built := $(release)/sysalert $(release)/libbundle.so

bindir = $(DESTDIR)$(PREFIX)/bin
libdir = $(DESTDIR)$(PREFIX)/lib
plugindir = $(libdir)/sysalert/plugins
includedir = $(DESTDIR)$(PREFIX)/include
docdir = $(DESTDIR)$(PREFIX)/share/doc/sysalert
polkitdir = $(DESTDIR)$(PREFIX)/share/polkit-1/rules.d
confdir = $(DESTDIR)/etc/sysalert
mandir = $(DESTDIR)$(PREFIX)/share/man
bashdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
fishdir = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
# Debian's zsh looks below /usr in this folder instead.
zshdir = $(DESTDIR)$(PREFIX)/share/zsh/$(if $(and $(filter /usr,$(PREFIX)),$(wildcard /etc/debian_version)),vendor-completions,site-functions)
units := $(notdir $(wildcard units/system/*.*))
units := $(filter-out %.d,$(units))
user_units := $(filter-out %.d,$(notdir $(wildcard units/user/*.*)))
# As they lie below units/ here, and below lib/systemd/ there.
all_units := $(units:%=system/%) $(user_units:%=user/%)
# As `sysalert generate man` names them.
pages := man1/sysalert.1 man3/sysalert-plugin.3 man5/sysalert.toml.5 man7/sysalert.7 $(units:%=man8/%.8)
# Drop-ins: how often each check runs, for the system and for users, what one more needs, and what comes with a user's manager.
drop_ins := $(patsubst units/%,%,$(wildcard units/*/sysalert-check@*.d/*.conf units/system/user@.service.d/*.conf))

.PHONY: help setup build check bench bench-compare order fuzz demo guest package install uninstall

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

setup: ## install what building and testing need (Debian; as root when something is missing)
	@$(scripts)/setup

# What `sysalert --version` says: the release, and the commit where there is one.
version := $(shell sed -n 's/^version *= *"\(.*\)"/\1/p' Cargo.toml | head -n 1)
commit := $(shell git describe --always --dirty --exclude '*' 2>/dev/null)

# ONLY= asks cargo for something else instead: tests/bench/run for what it measures alone.
build: ## build the program and its plugins
	PATH="$$($(scripts)/toolchain):$$PATH" SYSALERT_BUILD="$(version)$(commit:%= (%))" cargo build --release --workspace --locked $(ONLY)

# What `install` needs. Without a change since the last build no cargo runs, so that `sudo make
# install` works where only the user who built has one. Cargo leaves a file alone that would come out
# the same: hence the touch.
sources := Cargo.toml Cargo.lock build.rs order.ld $(shell find src plugins units overrides -type f)
$(built) &: $(sources)
	$(MAKE) build
	touch -c $(built)

check: setup ## run every test
	@$(scripts)/check

bench: setup build ## measure what all of it costs, beside what people use; ROWS="failure success" only these
	@tests/bench/run $(ROWS)

bench-compare: setup build ## the same for the commit BASE=, and both beside each other
	@tests/bench/compare "$(BASE)" $(ROWS)

order: setup ## write order.ld anew: what systemd starts lies side by side in the program
	@tests/bench/order

fuzz: ## try hostile input until you stop it; SYSALERT_FUZZ=message, configuration, look or reply tries one kind
	PATH="$$($(scripts)/toolchain):$$PATH" SYSALERT_FUZZ_SECONDS=0 cargo test --profile fuzz --locked --test fuzz -- --nocapture

demo: ## a unit fails and recovers on a throw-away systemd, and the mails arrive
	@$(scripts)/setup demo
	@$(MAKE) build
	@$(scripts)/demo

guest: ## a shell on a throw-away systemd with sysalert and a mail server in it; all is gone when you leave
	@$(scripts)/setup demo
	@$(MAKE) build
	@$(scripts)/guest

# The packages are made of what an installation puts into .stage, wherever zsh's completions are on this machine.
package: ## build the .deb and the .rpm, into target/package
	@$(scripts)/setup demo
	rm -rf .stage
	$(MAKE) install DESTDIR=.stage PREFIX=/usr zshdir=.stage/usr/share/zsh/vendor-completions
	@$(scripts)/package

# What an administrator has turned off since its first installation stays off.
upgrade := $(filter $(units),$(notdir $(wildcard $(libdir)/systemd/system/sysalert-*)))

install: $(if $(filter 1,$(NO_BUILD)),,$(built)) ## install below PREFIX=/usr; DESTDIR= for packages, NO_BUILD=1 takes what is there
	install -D -m 0755 $(release)/sysalert $(bindir)/sysalert
	install -d $(plugindir)
	install -m 0644 $(release)/libbundle.so $(libdir)/sysalert/bundle.so
	for name in $(libraries); do ln -sf ../bundle.so $(plugindir)/$$name.so; done
	for unit in $(all_units) {system,user}/sysalert-.service.d/10-sysalert.conf; do install -D -m 0644 units/$$unit $(libdir)/systemd/$$unit; done
	for drop_in in $(drop_ins); do install -D -m 0644 units/$$drop_in $(libdir)/systemd/$$drop_in; done
	install -D -m 0644 -t $(libdir)/systemd/system-preset units/system-preset/90-sysalert.preset
	install -D -m 0644 -t $(libdir)/sysusers.d units/sysusers.d/sysalert.conf
	install -D -m 0644 -t $(libdir)/tmpfiles.d units/tmpfiles.d/sysalert.conf
	install -D -m 0644 -t $(polkitdir) units/polkit-1/rules.d/50-sysalert.rules
	install -D -m 0644 -t $(includedir) plugins/abi/sysalert_plugin.h
	for file in README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE units/sysalert.toml units/prometheus-rules.yml units/doc/audit.rules; do if [[ -e $$file ]]; then install -D -m 0644 -t $(docdir) $$file; fi; done
	install -D -m 0644 -t $(docdir)/docs docs/*.md
	install -D -m 0644 -t $(docdir)/overrides/service.d overrides/service.d/10-sysalert.conf
	install -D -m 0644 -t $(docdir)/overrides/NAME.service.d $(wildcard overrides/NAME.service.d/*.conf)
ifneq ($(PREFIX),/usr)
	sed -i 's,^\(Exec[a-zA-Z]*=[+-]*\)/usr/bin/sysalert,\1$(PREFIX)/bin/sysalert,' $(filter %.service,$(all_units:%=$(libdir)/systemd/%)) $(docdir)/overrides/NAME.service.d/*.conf
endif
	install -D -m 0644 -t $(docdir)/examples plugins/abi/examples/bell.c plugins/abi/examples/board.rs
	for name in $(plugins); do install -D -m 0644 plugins/$$name/example.toml $(docdir)/methods/$$name.toml; done
	install -d $(mandir) $(bashdir) $(zshdir) $(fishdir)
	# the plugins that were just installed tell their keys; there is no state folder whose owner root would have to become
	umask 022; $(bindir)/sysalert --plugin-dir $(plugindir) --state-dir /nonexistent --config /dev/null generate man --out $(mandir)
	umask 022; $(bindir)/sysalert generate completions bash >$(bashdir)/sysalert
	umask 022; $(bindir)/sysalert generate completions zsh >$(zshdir)/_sysalert
	umask 022; $(bindir)/sysalert generate completions fish >$(fishdir)/sysalert.fish
	install -d -m 0750 $(confdir) $(confdir)/conf.d
	[[ -e $(confdir)/sysalert.toml ]] || install -m 0640 units/sysalert.toml $(confdir)/sysalert.toml
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) UPGRADE="$(upgrade)" $(scripts)/activate install

uninstall: ## remove what `install` put there; keeps /etc/sysalert and /var/lib/sysalert
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) $(scripts)/activate uninstall
	rm -f $(bindir)/sysalert $(includedir)/sysalert_plugin.h
	rm -f $(all_units:%=$(libdir)/systemd/%)
	rm -f $(libdir)/systemd/system-preset/90-sysalert.preset $(libdir)/sysusers.d/sysalert.conf $(libdir)/tmpfiles.d/sysalert.conf
	rm -rf $(libdir)/systemd/{system,user}/sysalert-.service.d $(docdir)
	rm -f $(drop_ins:%=$(libdir)/systemd/%)
	@rmdir --ignore-fail-on-non-empty $(sort $(dir $(drop_ins:%=$(libdir)/systemd/%))) 2>/dev/null || true
	rm -f $(libraries:%=$(plugindir)/%.so) $(libdir)/sysalert/bundle.so $(polkitdir)/50-sysalert.rules
	rm -f $(addprefix $(mandir)/,$(pages)) $(bashdir)/sysalert $(zshdir)/_sysalert $(fishdir)/sysalert.fish
	@rmdir --ignore-fail-on-non-empty $(plugindir) $(libdir)/sysalert 2>/dev/null || true
	@if [[ -z "$(DESTDIR)" && -d /run/systemd/system && $$(id -u) == 0 ]]; then systemctl daemon-reload; fi
	@echo "Kept: $(confdir) (the configuration), $(DESTDIR)/var/lib/sysalert (the record of all failures),"
	@echo "$(DESTDIR)/var/lib/sysalert-restart (how the last restart of each process went),"
	@echo "$(DESTDIR)/var/log/sysalert, the user sysalert, and the drop-ins below /etc/systemd that name sysalert:"
	@echo "as long as they are there, systemd says at each failure that it found no handler. Before an"
	@echo "uninstallation, \`sysalert disable --all\` takes them back, and with --global those for all users."
