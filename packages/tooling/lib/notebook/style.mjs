/** The look of a rendered notebook: one column, prose wide enough to read, outputs set off from code; light and dark. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1d1d1f;--soft:#61616a;--paper:#fff;--panel:#f6f7f9;--line:#dcdde2;--accent:#0b62c4;
--out:#3c8f5a;--keyword:#7c2fa8;--string:#1b6e3c;--number:#a04a00;--comment:#707580}
@media(prefers-color-scheme:dark){:root{--ink:#e9e9ec;--soft:#a3a4ad;--paper:#16171a;--panel:#1f2125;--line:#363940;
--accent:#7ab7ff;--out:#4fb877;--keyword:#cf9bf0;--string:#8fd6a4;--number:#f0b27a;--comment:#8b909b}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem clamp(.8rem,4vw,3rem) 5rem;max-width:62rem;background:var(--paper);color:var(--ink);
font:17px/1.6 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.9rem;line-height:1.2;margin:1rem 0 .8rem}h2{font-size:1.35rem;margin:2.6rem 0 .6rem;padding-top:.4rem}
h3{font-size:1.1rem;margin:1.6rem 0 .4rem}p,ul,ol{margin:.6rem 0}.prose{max-width:46rem}
a{color:var(--accent)}code{font:.88em ui-monospace,SFMono-Regular,Menlo,monospace;background:var(--panel);
padding:.1em .3em;border-radius:.25em}
pre{font:13.5px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace;margin:0;overflow-x:auto;overflow-wrap:normal}
pre code{background:none;padding:0;font:inherit}
.code{background:var(--panel);border:1px solid var(--line);border-radius:.5rem;margin:1rem 0 0;padding:.8rem 1rem}
.imports{font-size:.88rem}.imports summary{cursor:pointer;color:var(--soft)}.imports[open] summary{margin-bottom:.5rem}
.imports+pre{margin-top:.6rem}.prose pre{background:var(--panel);border:1px solid var(--line);border-radius:.5rem;padding:.6rem 1rem}
.keyword{color:var(--keyword)}.string{color:var(--string)}.number{color:var(--number)}.comment{color:var(--comment)}
.out{border-left:3px solid var(--out);margin:.5rem 0 1.2rem .2rem;padding:.1rem 0 .1rem 1rem;min-width:0}
.out>*+*{margin-top:.8rem}.out pre.text{white-space:pre-wrap;overflow-wrap:anywhere;max-height:30rem;overflow-y:auto}
.log{color:var(--soft);font-size:.9rem}.log summary{cursor:pointer}.log pre{margin-top:.4rem;white-space:pre-wrap}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;max-width:100%}
caption{text-align:left;color:var(--soft);padding:.2rem 0 .4rem;font-size:.9rem}
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:normal}
th{color:var(--soft);font-weight:600;font-size:.85rem}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
table.wide{table-layout:fixed;width:100%;min-width:38rem}table.wide td{overflow-wrap:anywhere;font-size:.85rem}
td pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}
.rich img{max-width:100%;height:auto}figure{margin:0}figure svg{display:block;width:100%;max-width:40rem;height:auto}
header.meta,footer{color:var(--soft);font-size:.88rem}footer{margin-top:3rem;border-top:1px solid var(--line);padding-top:1rem}
@media(max-width:600px){body{font-size:16px}pre{font-size:12.5px}.out{padding-left:.7rem}}
@media print{.code{break-inside:avoid}}
`
