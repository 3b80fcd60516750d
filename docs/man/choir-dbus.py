#!/usr/bin/python3
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the DocBook of choir-dbus(7), made from the comments of the bus interface.

The comments are what gdbus-codegen reads; those that its version in Debian 12 writes as DocBook lose
their lists, headings and code, which is why it is not used.

usage: choir-dbus.py INTERFACE.xml VERSION
"""

import re
import sys
from xml.dom import minidom
from xml.sax.saxutils import escape

# org.choir.Choir1.Manager.Kick(), org.choir.Choir1.Manager::Dropped, @argument, `code`
_INLINE = re.compile(r'`([^`]+)`|org\.choir\.Choir1\.(\w+)(?:\.(\w+\(\))|::(\w+)|:(\w+))|@(\w+)')

HEAD = '''<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE refentry PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN"
  "http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd">
<refentry id="choir-dbus">
<refentryinfo><title>choir-dbus</title><productname>Choir</productname>
<corpauthor>The Choir contributors</corpauthor><date>2026-11-21</date></refentryinfo>
<refmeta><refentrytitle>choir-dbus</refentrytitle><manvolnum>7</manvolnum>
<refmiscinfo class="source">Choir</refmiscinfo><refmiscinfo class="version">{version}</refmiscinfo>
<refmiscinfo class="manual">Choir</refmiscinfo></refmeta>
<refnamediv><refname>choir-dbus</refname><refpurpose>the D-Bus interface of the Choir WebSocket service</refpurpose></refnamediv>
<refsynopsisdiv><simplelist><member><literal>org.choir.Choir1</literal></member>
<member><filename>/org/choir/Choir1</filename></member></simplelist></refsynopsisdiv>
<refsect1><title>Description</title>
<para>How administrators and their scripts watch and steer
<citerefentry><refentrytitle>choird</refentrytitle><manvolnum>8</manvolnum></citerefentry>. What is described here can be called
with <citerefentry><refentrytitle>busctl</refentrytitle><manvolnum>1</manvolnum></citerefentry> and from every language that
speaks D-Bus; <citerefentry><refentrytitle>choirctl</refentrytitle><manvolnum>1</manvolnum></citerefentry> is built on it.</para>
<para>A property is shown with its type and whether its changes are announced by <literal>PropertiesChanged</literal>, a method
with what it takes and, behind the arrow, what it returns. Types are those of the D-Bus specification.</para>
</refsect1>
'''

TAIL = '''<refsect1><title>See also</title>
<para><citerefentry><refentrytitle>choirctl</refentrytitle><manvolnum>1</manvolnum></citerefentry>,
<citerefentry><refentrytitle>choird</refentrytitle><manvolnum>8</manvolnum></citerefentry>,
<citerefentry><refentrytitle>choir.conf</refentrytitle><manvolnum>5</manvolnum></citerefentry>,
<citerefentry><refentrytitle>busctl</refentrytitle><manvolnum>1</manvolnum></citerefentry>,
<citerefentry><refentrytitle>sd_bus_path_encode</refentrytitle><manvolnum>3</manvolnum></citerefentry>,
<citerefentry><refentrytitle>polkit</refentrytitle><manvolnum>8</manvolnum></citerefentry></para></refsect1>
</refentry>
'''


def inline(text):
    """A line of a comment as DocBook."""
    out, end = [], 0
    for match in _INLINE.finditer(text):
        out.append(escape(text[end:match.start()]))
        end = match.end()
        code, interface, method, signal, prop, argument = match.groups()
        if code:
            out.append(f'<literal>{escape(code)}</literal>')
        elif argument:
            out.append(f'<parameter>{argument}</parameter>')
        else:
            member = method or signal or prop
            out.append(f'<literal>{member if interface == "Manager" else f"{interface}.{member}"}</literal>')
    out.append(escape(text[end:]))
    return ''.join(out)


class Comment:
    """What stands before an element: its name, what is said of arguments, and paragraphs."""

    def __init__(self, text):
        blocks = [[line.strip() for line in block.splitlines()] for block in re.split(r'\n\s*\n', text.strip())]
        head = blocks.pop(0)
        self.name = head.pop(0).rstrip(':')
        self.arguments = {}
        for line in head:
            if line.startswith('@'):
                name, _, rest = line[1:].partition(':')
                self.arguments[name] = rest.strip()
            else:
                self.arguments[name] += f' {line}'
        self.blocks = blocks

    def docbook(self, heading):
        """The paragraphs; a `# Title` begins a new part, as `heading` writes it."""
        out = []
        for block in self.blocks:
            if block[0].startswith('# '):
                out.append(heading(block[0][2:]))
            elif block[0].startswith('- '):
                items = re.split(r'(?:^|\n)- ', '\n'.join(block))[1:]
                out += ['<itemizedlist>', *(f'<listitem><para>{inline(item)}</para></listitem>' for item in items), '</itemizedlist>']
            else:
                out.append(f'<para>{inline(chr(10).join(block))}</para>')
        return '\n'.join(out)


def no_heading(title):
    raise SystemExit(f'A member can have no heading: {title}')


def comment_of(element):
    """The comment before an element; it must be there, and be about it."""
    node = element.previousSibling
    while node is not None and node.nodeType == node.TEXT_NODE:
        node = node.previousSibling
    name = element.getAttribute('name')
    if node is None or node.nodeType != node.COMMENT_NODE:
        raise SystemExit(f'{name} is not documented')
    comment = Comment(node.data)
    if comment.name != name:
        raise SystemExit(f'The comment before {name} is about {comment.name}')
    return comment


def arguments_of(element, comment):
    """[(direction, type, name, description)]"""
    found = []
    for arg in element.getElementsByTagName('arg'):
        name = arg.getAttribute('name')
        if name not in comment.arguments:
            raise SystemExit(f'Argument {name} of {comment.name} is not documented')
        found.append((arg.getAttribute('direction'), arg.getAttribute('type'), name, comment.arguments[name]))
    return found


def prototype(name, arguments):
    takes = ', '.join(f'{type_} {arg}' for direction, type_, arg, _ in arguments if direction != 'out')
    gives = ', '.join(f'{type_} {arg}' for direction, type_, arg, _ in arguments if direction == 'out')
    return f'{name} ({takes})' + (f' → ({gives})' if gives else '')


def print_callable(element):
    comment = comment_of(element)
    arguments = arguments_of(element, comment)
    print(f'<varlistentry><term>{escape(prototype(comment.name, arguments))}</term><listitem>')
    print(comment.docbook(no_heading))
    if arguments:
        print('<variablelist>')
        for _, _, name, text in arguments:
            print(f'<varlistentry><term><parameter>{name}</parameter></term><listitem><para>{inline(text)}</para></listitem></varlistentry>')
        print('</variablelist>')
    print('</listitem></varlistentry>')


_CHANGES = {'const': 'constant', 'true': 'announced', 'false': 'not announced'}


def print_property(element):
    comment = comment_of(element)
    changes = next(note.getAttribute('value') for note in element.getElementsByTagName('annotation')
                   if note.getAttribute('name') == 'org.freedesktop.DBus.Property.EmitsChangedSignal')
    print(f'<varlistentry><term>{comment.name} ({element.getAttribute("type")}, {_CHANGES[changes]})</term><listitem>')
    print(comment.docbook(no_heading))
    print('</listitem></varlistentry>')


def print_interface(element):
    comment = comment_of(element)
    print(f'<refsect1><title>Interface {comment.name.rpartition(".")[2]}</title>')
    print(f'<para><literal>{comment.name}</literal>: {inline(comment.arguments["short_description"])}.</para>')
    parts = comment.docbook(lambda title: f'</refsect2><refsect2><title>{escape(title)}</title>')
    if '</refsect2>' in parts:
        # what stands before the first heading is the section's own
        parts = parts.replace('</refsect2>', '', 1) + '\n</refsect2>'
    print(parts)
    for tag, title, show in (('property', 'Properties', print_property), ('method', 'Methods', print_callable),
                             ('signal', 'Signals sent', print_callable)):
        members = element.getElementsByTagName(tag)
        if members:
            print(f'<refsect2><title>{title}</title><variablelist>')
            for member in members:
                show(member)
            print('</variablelist></refsect2>')
    print('</refsect1>')


def main():
    path, version = sys.argv[1:]
    sys.stdout.reconfigure(encoding='utf-8')
    print(HEAD.format(version=escape(version)), end='')
    for element in minidom.parse(path).getElementsByTagName('interface'):
        print_interface(element)
    print(TAIL, end='')


main()
