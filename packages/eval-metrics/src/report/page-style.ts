/** The look of every page we write: system fonts, light and dark, one column on a phone. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--ink:#1d1d1f;--soft:#5c5c63;--paper:#fff;--panel:#f5f5f7;--line:#d8d8dc;
--good:#0a6b3d;--good-bg:#dff5e7;--bad:#a3201a;--bad-bg:#fde4e1}
@media(prefers-color-scheme:dark){:root{--ink:#ececee;--soft:#a6a6ad;--paper:#17171a;--panel:#222226;--line:#3c3c42;
--good:#7fe0aa;--good-bg:#12391f;--bad:#ffa59c;--bad-bg:#4a1714}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem clamp(.75rem,3vw,2.5rem) 4rem;max-width:90rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.2}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}h3{margin:1.5rem 0 .5rem}
h4{margin:.5rem 0 .25rem;font-size:.9rem}small,.preview,.scores{color:var(--soft);font-weight:400;font-size:.85rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--line);
vertical-align:top}th{color:var(--soft);font-weight:500;font-size:.85rem}td{font-variant-numeric:tabular-nums}
.signature{font:12px/1.4 ui-monospace,monospace;color:var(--soft)}
.verdict{padding:.1rem .45rem;border-radius:.6rem;background:var(--panel);white-space:nowrap}
.verdict.better,ins{color:var(--good);background:var(--good-bg)}.verdict.worse,del,.failed{color:var(--bad);background:var(--bad-bg)}
ins{text-decoration:none}.failed{padding:.2rem .5rem;margin:.2rem 0;font-size:.9rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1rem}figure{margin:0}
details.row{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:0 .75rem}
summary{cursor:pointer;padding:.5rem 0}details[open]>summary{border-bottom:1px solid var(--line)}
pre{margin:0 0 .75rem;padding:.6rem;background:var(--panel);border-radius:.4rem;white-space:pre-wrap;font:inherit;font-size:.95rem}
.outputs{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:0 1rem}.output{min-width:0}
svg{display:block;height:auto}
label{display:block;padding:.25rem 0}
@media(max-width:640px){thead{position:absolute;clip-path:inset(50%)}tr{display:block;padding:.4rem 0;border-bottom:1px solid var(--line)}
td{display:flex;justify-content:space-between;gap:1rem;border:0;padding:.15rem 0}td::before{content:attr(data-label);color:var(--soft);font-size:.85rem}}
@media print{details{break-inside:avoid}}
`
