import { render } from 'preact'
render(<p>runnel</p>, document.getElementById('app'))
